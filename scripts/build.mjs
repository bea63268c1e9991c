/** `npm run build`: src/ to dist/, when dist/ is older. */
import { build, installDependencies, requireNode } from "./setup.mjs";

requireNode();
installDependencies();
process.exitCode = build();
