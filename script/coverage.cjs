#!/usr/bin/env node
// Runs forge coverage and fails if our contracts are covered less than stated, in lines or in branches.
//
//     npm run coverage
//
// Only contracts/ counts. forge compiles for it without the optimizer, so the code is not the deployed one. (Not by
// `--ir-minimum`: it loses the lines of assembly.) The variants and the bare verifiers' tests would add nothing but
// time, and are left out with gas.
"use strict";
const { spawnSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const LEAST = 95;
const ROOT = path.resolve(__dirname, "..");
const REPORT = path.join(ROOT, "cache", "lcov.info");

const run = spawnSync(
  "bash",
  [path.join(__dirname, "forge.sh"), "coverage", "--report", "lcov", "--report-file", REPORT]
    .concat(["--no-match-coverage", "(tests|script|node_modules)/", "--no-match-path", "tests/contracts/{Variants,LeanVariants,LeanVerifier,Gas}.t.sol"])
    .concat(["--fuzz-runs", "32"]),
  {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    // Nor do more runs of the invariants; and this build must not take the place of the other.
    env: {
      ...process.env,
      FOUNDRY_OUT: "cache/coverage",
      FOUNDRY_CACHE_PATH: "cache/coverage-cache",
      FOUNDRY_INVARIANT_RUNS: "4",
    },
  },
);
if (run.status !== 0) {
  process.stderr.write(run.stdout ?? "");
  process.exit(run.status || 1);
}

// lcov: SF names a file, DA is a line with its hits, BRDA a branch with its hits or "-".
const files = new Map();
let current;
for (const line of fs.readFileSync(REPORT, "utf8").split("\n")) {
  const [, key, value] = /^(\w+):(.*)$/.exec(line) ?? [];
  if (key === "SF") {
    current = { lines: [0, 0], branches: [0, 0], missed: [] };
    files.set(value, current);
  } else if (key === "DA") {
    const [number, hits] = value.split(",");
    current.lines[0] += hits !== "0" ? 1 : 0;
    current.lines[1] += 1;
    if (hits === "0") current.missed.push(number);
  } else if (key === "BRDA") {
    const [number, , , hits] = value.split(",");
    const hit = hits !== "0" && hits !== "-";
    current.branches[0] += hit ? 1 : 0;
    current.branches[1] += 1;
    if (!hit) current.missed.push(`${number}?`);
  }
}

const percent = ([hit, total]) => (total === 0 ? 100 : (100 * hit) / total);
const total = { lines: [0, 0], branches: [0, 0] };
for (const [name, file] of [...files].sort()) {
  for (const kind of ["lines", "branches"]) {
    total[kind] = total[kind].map((value, i) => value + file[kind][i]);
  }
  const show = (pair) => `${percent(pair).toFixed(1)} % (${pair.join("/")})`.padStart(18);
  const missed = file.missed.length ? `  missed: ${file.missed.join(" ")}` : "";
  process.stdout.write(`${name.padEnd(44)}${show(file.lines)}${show(file.branches)}${missed}\n`);
}
process.stdout.write(`lines ${percent(total.lines).toFixed(2)} %, branches ${percent(total.branches).toFixed(2)} %\n`);
if (files.size === 0 || percent(total.lines) < LEAST || percent(total.branches) < LEAST) {
  process.stderr.write(`below ${LEAST} %\n`);
  process.exit(1);
}
