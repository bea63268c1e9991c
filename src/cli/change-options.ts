/** Options of commands that change what is registered: who asks for it, and which of two things of one name is meant. */
import { userInfo } from "node:os";
import { Option } from "commander";

export function byOption(): Option {
  return new Option("--by <name>", "who asks for it").default(userInfo().username, "you");
}

export function kindOption(): Option {
  const kinds = ["view", "service"];
  return new Option("--kind <kind>", "which is meant, where a view and a service have one name").choices(kinds);
}
