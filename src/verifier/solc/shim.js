#!/usr/bin/env node
// The Solidity compiler of the npm package `solc`, as a program: the part of solc's command line
// that Foundry uses. Written by zkvouch; @SOLJSON@ is filled in when it is installed.
"use strict";
const fs = require("fs");
const soljson = @SOLJSON@;

// A pipe can be full or, if its other side made it non-blocking, empty for the moment.
function patiently(action) {
  for (;;) {
    try {
      return action();
    } catch (error) {
      if (error.code === "EOF") return 0;
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function readAll() {
  const chunks = [];
  const chunk = Buffer.alloc(1 << 16);
  for (;;) {
    const length = patiently(() => fs.readSync(0, chunk, 0, chunk.length, null));
    if (length === 0) return Buffer.concat(chunks).toString("utf8");
    chunks.push(Buffer.from(chunk.subarray(0, length)));
  }
}

function writeAll(descriptor, text) {
  const bytes = Buffer.from(text, "utf8");
  for (let start = 0; start < bytes.length; ) {
    start += patiently(() => fs.writeSync(descriptor, bytes, start));
  }
}

function load() {
  const compiler = require(soljson);
  // It installs handlers that would swallow an exception's exit code.
  process.removeAllListeners("uncaughtException");
  process.removeAllListeners("unhandledRejection");
  return compiler;
}

const args = process.argv.slice(2);
if (args.includes("--version") || args.includes("-V")) {
  const version = load().cwrap("solidity_version", "string", [])();
  writeAll(1, `solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (args.includes("--standard-json")) {
  // --allow-paths, --base-path and --include-path do not matter: nothing is read from the disk,
  // and an import that is not among the sources is the compiler's own error.
  const input = readAll();
  const compile = load().cwrap("solidity_compile", "string", ["string", "number", "number"]);
  writeAll(1, compile(input, 0, 0) + "\n");
} else {
  writeAll(2, "this solc understands --version and --standard-json (JSON on standard input)\n");
  process.exitCode = 1;
}
