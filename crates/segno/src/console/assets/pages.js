// The pages: their addresses, names in the menu, and keys after `g`.

import * as overview from "./pages/overview.js";
import * as events from "./pages/events.js";
import * as event from "./pages/event.js";
import * as executions from "./pages/executions.js";
import * as execution from "./pages/execution.js";
import * as letters from "./pages/dead-letters.js";
import * as letter from "./pages/dead-letter.js";
import * as bulk from "./pages/bulk.js";
import * as replays from "./pages/replays.js";
import * as replay from "./pages/replay.js";
import * as timers from "./pages/timers.js";
import * as schedules from "./pages/schedules.js";
import * as schedule from "./pages/schedule.js";
import * as routes from "./pages/routes.js";
import * as keys from "./pages/keys.js";
import * as sinks from "./pages/sinks.js";
import * as queues from "./pages/queues.js";
import * as queue from "./pages/queue.js";
import * as audit from "./pages/audit.js";
import { ADDED } from "./added.js";

const page = (pattern, module, label = null, key = null, role = null) => ({ pattern, show: module.show, label, key, role });

export const PAGES = [
  page("", overview, "Overview", "o"),
  page("events", events, "Events", "e"),
  page("events/:source/:id", event),
  page("executions", executions, "Executions", "x"),
  page("executions/:id", execution),
  page("dead-letters", letters, "Dead letters", "d"),
  page("dead-letters/:id", letter),
  page("bulk/:id", bulk),
  page("replays", replays, "Replays", "p"),
  page("replays/:id", replay),
  page("timers", timers, "Timers", "t"),
  page("schedules", schedules, "Schedules", "s"),
  page("schedules/:id", schedule),
  page("routes", routes, "Routes", "r"),
  page("keys", keys, "Keys", "k"),
  page("sinks", sinks, "Sinks", "i"),
  page("queues", queues, "Task queues", "q"),
  page("queues/:name", queue),
  page("audit", audit, "Audit log", "a", "admin"),
  ...ADDED,
];
