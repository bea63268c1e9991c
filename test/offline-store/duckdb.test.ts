import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { engineSuite } from "./engine-suite.ts";

engineSuite(openDuckDb);
