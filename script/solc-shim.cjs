#!/usr/bin/env node
// Lets Foundry use the compiler in npm's `solc` (WebAssembly) where no native solc is at hand: name this file in
// FOUNDRY_SOLC. Foundry asks for nothing but `--version` and `--standard-json` on stdin; paths and include paths it
// passes besides need no answer, since it inlines every source.
"use strict";
const fs = require("fs");

// The compiler is loaded by itself: it is all that is needed of the package, and starts quickest.
const soljson = require("solc/soljson.js");

/** Writes everything before it returns: a pipe's asynchronous write would be cut off by the exit. */
function write(fd, text) {
  const bytes = Buffer.from(text, "utf8");
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

const args = process.argv.slice(2);
if (args.includes("--version")) {
  const version = soljson.cwrap("solidity_version", "string", [])();
  write(1, `solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (args.includes("--standard-json")) {
  const input = fs.readFileSync(0, "utf8");
  const compile = soljson.cwrap("solidity_compile", "string", ["string", "number", "number"]);
  write(1, compile(input, 0, 0) + "\n");
} else {
  write(2, "solc-shim: only --version and --standard-json are supported\n");
  process.exit(1);
}
