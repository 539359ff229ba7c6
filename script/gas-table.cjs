#!/usr/bin/env node
// Writes the gas tables of contracts/README.md from snapshots/, between its markers; or with --check fails if they differ.
//
//     node script/gas-table.cjs [--check]          part of `npm run gas` and `npm run gas:check`
//
// Osaka's figures are those of `npm run gas`. Amsterdam's are measured by the command's tests in an EVM that knows it, and
// stand in snapshots/forks.json, by fixture, fork and the names below. A figure that is not there is left empty.
"use strict";
const fs = require("fs");
const path = require("path");

const ROOT = path.resolve(__dirname, "..");
const README = path.join(ROOT, "contracts", "README.md");
const [BEGIN, END] = ["<!-- gas: begin, written by script/gas-table.cjs -->", "<!-- gas: end -->"];

const read = (file) => {
  const name = path.join(ROOT, "snapshots", file);
  return fs.existsSync(name) ? JSON.parse(fs.readFileSync(name, "utf8")) : {};
};
const FIXTURES = ["tree", "credit"];
const osaka = (fixture, kind) => read(`gas-${fixture}${kind === "lean" ? "-lean" : ""}.json`);
const forks = read("forks.json");
/** The rows that forks.json has, and what they are called there. */
const AMSTERDAM = {
  "bare verifier": "verify",
  "bare verifier, packed": "verify_packed",
  record: "record",
  "record, packed": "record_packed",
  "recordBatch, of 16, each": "batch",
  "recordBatch, packed, of 16, each": "batch_packed",
  "deploy bare verifier": "verifier",
  addModel: "add_model",
  "a model's own deployment": "model",
  "deploy implementation": "implementation",
  "deploy router": "router",
  "deploy ledger": "ledger",
};
const amsterdam = (fixture) => {
  const figures = forks[fixture]?.amsterdam ?? {};
  return Object.fromEntries(Object.entries(AMSTERDAM).map(([row, name]) => [row, figures[name]]));
};
const format = (value) => (value === undefined ? "" : Number(value).toLocaleString("en-US"));

const CALLS = [
  "bare verifier",
  "bare verifier, packed",
  "adapter",
  "adapter, packed",
  "router",
  "record",
  "record, packed",
  "record, with a guardian",
  "consume",
  "consume, packed",
  ...[1, 2, 4, 8, 16].map((size) => `recordBatch, of ${String(size).padStart(2)}, each`),
  "recordBatch, packed, of 16, each",
  "recordEach, of 16, each",
  "recordFeed, of 16, each",
  "bare verifier's verifyMany, of 16, each",
  "bare verifier's verifyManyPacked, of 16, each",
];
const OTHERS = [
  "deploy bare verifier",
  "addModel",
  "a model's own deployment",
  "deploy implementation",
  "deploy router",
  "deploy ledger",
  "refusal of a replay",
  "refusal of a point off the curve",
];

function table(rows) {
  const columns = [];
  for (const fixture of FIXTURES) {
    columns.push([`${fixture}, ezkl`, osaka(fixture, "ezkl")]);
    columns.push([`${fixture}, lean`, osaka(fixture, "lean")]);
    columns.push([`${fixture}, lean, Amsterdam`, amsterdam(fixture)]);
  }
  const lines = [`| | ${columns.map(([name]) => name).join(" | ")} |`, `|---|${columns.map(() => "---").join("|")}|`];
  for (const row of rows) {
    const figures = columns.map(([, figure]) => format(figure[row]));
    lines.push(`| ${row.replace(/ +/g, " ")} | ${figures.join(" | ")} |`);
  }
  return lines.join("\n");
}

const batch = osaka("batch", "lean");
const perPrediction = Object.entries(batch)
  .map(([name, value]) => `| ${name} | ${format(value)} |`)
  .join("\n");
const text = [
  BEGIN,
  table(CALLS),
  "",
  table(OTHERS),
  "",
  "| the ledger's own part of a proof about 128 predictions (all but the bare verifier), each | |\n|---|---|\n" + perPrediction,
  END,
].join("\n");

const before = fs.readFileSync(README, "utf8");
const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
if (from < 0 || to < from) {
  process.stderr.write(`contracts/README.md: put the lines '${BEGIN}' and '${END}' where the tables belong\n`);
  process.exit(1);
}
const after = before.slice(0, from) + text + before.slice(to + END.length);
if (after === before) process.exit(0);
if (process.argv.includes("--check")) {
  process.stderr.write("contracts/README.md: the gas tables are not those of snapshots/: run `node script/gas-table.cjs`\n");
  process.exit(1);
}
fs.writeFileSync(README + ".tmp", after);
fs.renameSync(README + ".tmp", README);
process.stdout.write("contracts/README.md\n");
