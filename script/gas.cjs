#!/usr/bin/env node
// Measures what each layer costs, as isolated transactions with real proofs, and compares with snapshots/.
//
//     npm run gas            prints the table and rewrites snapshots/
//     npm run gas:check      fails on a rise of more than 1 % over what is committed
//
// A fall is reported and is no failure: commit it.
"use strict";
const { spawnSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const TOLERANCE = 0.01;
const ROOT = path.resolve(__dirname, "..");
const COMMITTED = path.join(ROOT, "snapshots");
const FRESH = path.join(ROOT, "cache", "snapshots");
const check = process.argv.includes("--check");

fs.rmSync(FRESH, { recursive: true, force: true });
const run = spawnSync(
  "bash",
  [path.join(__dirname, "forge.sh"), "test", "--isolate", "--match-path", "tests/contracts/Gas.t.sol"],
  {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    env: { ...process.env, FOUNDRY_SNAPSHOTS: "cache/snapshots", FOUNDRY_GAS_SNAPSHOT_EMIT: "true" },
  },
);
if (run.status !== 0) {
  process.stderr.write(run.stdout ?? "");
  process.exit(run.status || 1);
}

const read = (folder, file) => {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, file), "utf8"));
  } catch {
    return {};
  }
};
const format = (value) => (value === undefined ? "" : Number(value).toLocaleString("en-US"));

let risen = 0;
for (const file of fs.readdirSync(FRESH).sort()) {
  const [fresh, committed] = [read(FRESH, file), read(COMMITTED, file)];
  process.stdout.write(`${file.replace(/\.json$/, "")}\n`);
  for (const name of new Set([...Object.keys(fresh), ...Object.keys(committed)])) {
    const [now, before] = [fresh[name], committed[name]].map((v) => (v === undefined ? v : Number(v)));
    const worse = now === undefined || before === undefined || now > before * (1 + TOLERANCE);
    const change = now !== before ? ` (committed: ${format(before) || "none"})` : "";
    process.stdout.write(`  ${name.padEnd(44)} ${format(now).padStart(12)}${change}\n`);
    if (worse) risen += 1;
  }
  if (!check) {
    fs.mkdirSync(COMMITTED, { recursive: true });
    fs.copyFileSync(path.join(FRESH, file), path.join(COMMITTED, file));
  }
}
if (check && risen) {
  process.stderr.write(`${risen} figure(s) rose by more than ${TOLERANCE * 100} %, or are not committed: see above\n`);
  process.exit(1);
}
