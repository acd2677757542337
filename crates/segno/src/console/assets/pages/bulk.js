// A decision about many dead letters, and how far it is.

import { path } from "../api.js";
import { showOperation } from "../operation.js";

export function show(view, context) {
  const { id } = context.params;
  return showOperation(view, context, {
    name: `Bulk operation ${id}`,
    address: path("dead-letters", "bulk", id),
    cancelled: "It is told to end. What it has decided stays.",
  });
}
