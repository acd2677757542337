/**
 * A service in TypeScript that emits events: it renames families in PostgreSQL, and each rename is told of by an event.
 *
 *     npm ci && npm run build
 *     node build/emit.js postgres://localhost/families 100 Quill Quince
 *
 * Each name after the id is a transaction of its own. The name "FAIL" makes one that is rolled back.
 */

import { randomUUID } from "node:crypto";
import pg from "pg";

/** Renames a family. The event is there if and only if the change is. */
async function rename(client: pg.Client, family: number, name: string): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(
      "INSERT INTO family (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
      [family, name],
    );
    await client.query(
      `INSERT INTO segno_outbox (id, source, type, subject, aggregate_key, data)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [
        randomUUID(),
        "/families",
        "family.renamed",
        `family/${family}`,
        // Events of one key are published in the order in which they were committed.
        `family/${family}`,
        JSON.stringify({ familyId: family, name }),
      ],
    );
    if (name === "FAIL") {
      throw new Error("this family is not renamed");
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

const [url, family, ...names] = process.argv.slice(2);
const client = new pg.Client({ connectionString: url });
await client.connect();
for (const name of names) {
  try {
    await rename(client, Number(family), name);
  } catch (error) {
    console.error(String(error));
  }
}
await client.end();
