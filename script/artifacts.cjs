#!/usr/bin/env node
// Writes contracts/artifacts/ from a fresh build, or with --check fails if what is there differs from it.
//
//     npm run artifacts            npm run artifacts:check
//
// One JSON file a contract, in Foundry's shape, so that alloy's `sol!` and every Foundry tool read it:
//
//     contractName, sourceName
//     abi
//     bytecode.object                       creation code, without constructor arguments
//     deployedBytecode.object               runtime code; immutables are zero in it
//     deployedBytecode.immutableReferences  number -> [{start, length}], where they go, in the order of declaration
//     initCodeHash, runtimeHash             keccak256 of the two
//
// addresses.json, where CREATE2 puts them for one owner: a vector on which the scripts and the command are both tested;
// and standard-input.json, the compiler's input for all of them: what an explorer's source verification wants. The
// script compiles that very file and insists on the same code, so neither paths nor other sources matter to it.
"use strict";
const fs = require("fs");
const path = require("path");
const { spawnSync } = require("child_process");
const { keccak256 } = require("js-sha3");

const ROOT = path.resolve(__dirname, "..");
const FOLDER = path.join(ROOT, "contracts", "artifacts");
const CONTRACTS = [
  ["contracts/ModelRouter.sol", "ModelRouter"],
  ["contracts/PredictionLedger.sol", "PredictionLedger"],
  ["contracts/ModelVerifier.sol", "ModelVerifier"],
  ["node_modules/@openzeppelin/contracts/governance/TimelockController.sol", "TimelockController"],
];

const PROXY = "0x4e59b44847b379578588920ca78fbf26c0b4956c";

const hash = (code) => "0x" + keccak256(Buffer.from(code.slice(2), "hex"));

/** Builds contracts/ alone, in a folder of its own: what else the project compiles, or linted, must not matter. */
function build() {
  const done = spawnSync("bash", [path.join(__dirname, "forge.sh"), "build", "contracts"], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, FOUNDRY_OUT: "cache/release", FOUNDRY_CACHE_PATH: "cache/release-cache" },
  });
  if (done.status !== 0) process.exit(done.status || 1);
}

function built(source, name) {
  const file = path.join(ROOT, "cache", "release", path.basename(source), `${name}.json`);
  return JSON.parse(fs.readFileSync(file, "utf8"));
}

/** The compiler's input for every contract, put together from what the build says it read. */
function standardInput(builds) {
  const sources = {};
  for (const build of builds) {
    for (const name of Object.keys(build.metadata.sources)) {
      sources[name] = { content: fs.readFileSync(path.join(ROOT, name), "utf8") };
    }
  }
  const { optimizer, evmVersion, metadata, remappings } = builds[0].metadata.settings;
  return {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1))),
    settings: {
      remappings,
      optimizer,
      evmVersion,
      metadata,
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
}

/** Compiles the input as an explorer would and compares. */
function recompile(input, artifacts) {
  const soljson = require("solc/soljson.js");
  const compile = soljson.cwrap("solidity_compile", "string", ["string", "number", "number"]);
  const output = JSON.parse(compile(JSON.stringify(input), 0, 0));
  for (const artifact of artifacts) {
    const found = output.contracts?.[artifact.sourceName]?.[artifact.contractName];
    if ("0x" + found?.evm.bytecode.object !== artifact.bytecode.object) {
      throw new Error(`${artifact.contractName}: standard-input.json compiles to other code than the build`);
    }
  }
}

build();
/** The compiler's keys are AST ids, which move with every line of every source. */
function numbered(references) {
  const byId = Object.entries(references).sort(([a], [b]) => Number(a) - Number(b));
  return Object.fromEntries(byId.map(([, places], i) => [i, places]));
}

const builds = CONTRACTS.map(([source, name]) => built(source, name));
const artifacts = builds.map((build, i) => ({
  contractName: CONTRACTS[i][1],
  sourceName: CONTRACTS[i][0],
  abi: build.abi,
  bytecode: { object: build.bytecode.object },
  deployedBytecode: {
    object: build.deployedBytecode.object,
    immutableReferences: numbered(build.deployedBytecode.immutableReferences ?? {}),
  },
  initCodeHash: hash(build.bytecode.object),
  runtimeHash: hash(build.deployedBytecode.object),
}));
const input = standardInput(builds);
recompile(input, artifacts);

/** CREATE2 by its definition: keccak256(0xff ‖ proxy ‖ salt ‖ keccak256(init code)), the last 20 bytes. */
function address(salt, initCode) {
  const preimage = "ff" + PROXY.slice(2) + salt.slice(2) + hash(initCode).slice(2);
  return "0x" + keccak256(Buffer.from(preimage, "hex")).slice(24);
}

function addresses() {
  const codeOf = (name) => artifacts.find((a) => a.contractName === name).bytecode.object;
  const word = (value) => value.slice(2).toLowerCase().padStart(64, "0");
  const salt = "0x" + keccak256("zkvouch.v3");
  // Anvil's first account.
  const owner = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
  const implementation = address(salt, codeOf("ModelVerifier"));
  const router = address(salt, codeOf("ModelRouter") + word(owner) + word(implementation));
  const ledger = address(salt, codeOf("PredictionLedger") + word(router));
  return { proxy: PROXY, salt, owner, ModelVerifier: implementation, ModelRouter: router, PredictionLedger: ledger };
}

const files = Object.fromEntries(artifacts.map((a) => [`${a.contractName}.json`, a]));
files["addresses.json"] = addresses();
files["standard-input.json"] = input;

const check = process.argv.includes("--check");
let stale = 0;
for (const [name, value] of Object.entries(files)) {
  const file = path.join(FOLDER, name);
  const text = JSON.stringify(value, null, 2) + "\n";
  if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === text) continue;
  stale += 1;
  if (check) {
    process.stderr.write(`${path.relative(ROOT, file)} differs from a fresh build\n`);
  } else {
    fs.writeFileSync(file + ".tmp", text);
    fs.renameSync(file + ".tmp", file);
    process.stdout.write(`${path.relative(ROOT, file)}\n`);
  }
}
if (check && stale) {
  process.stderr.write("run `npm run artifacts` and commit the result\n");
  process.exit(1);
}
