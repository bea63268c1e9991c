/** The RESP doors that a platform has opened, and what they have counted together. */
import { packageVersion } from "../base/version.ts";
import type { RespCounts } from "../monitor/metrics/monitored-house.ts";
import type { FeatureReader } from "../serve/feature-reader.ts";
import type { ServePorts } from "../serve/ports.ts";
import { openRespServer, type RespOptions, type RespServer } from "../serve/resp/server.ts";

export class RespDoors {
  /** Closed ones, too: a counter never goes back. */
  readonly #doors: RespServer[] = [];

  async open(reader: FeatureReader, ports: ServePorts, options: RespOptions): Promise<RespServer> {
    const door = await openRespServer(reader, ports, packageVersion(), options);
    this.#doors.push(door);
    return door;
  }

  counts(): RespCounts {
    const commands = new Map<string, number>();
    let connections = 0;
    for (const door of this.#doors) {
      connections += door.connectionCount();
      for (const [name, count] of door.commandCounts) commands.set(name, (commands.get(name) ?? 0) + count);
    }
    return { connections, commands };
  }
}
