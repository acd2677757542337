// The pages: their addresses, names in the menu, and keys after `g`.

import * as overview from "./pages/overview.js";
import * as events from "./pages/events.js";
import * as event from "./pages/event.js";
import * as executions from "./pages/executions.js";
import * as execution from "./pages/execution.js";
import * as letters from "./pages/dead-letters.js";
import * as letter from "./pages/dead-letter.js";
import * as bulk from "./pages/bulk.js";

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
];
