"use strict";
// A node with Amsterdam's prices for state and calldata, over HTTP, for tests: Hardhat's EVM (EDR), since Anvil lacks the
// fork. Argument: the folder of the npm package @nomicfoundation/edr-linux-x64-gnu. Prints its URL; ends with its stdin.
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const folder = process.argv[2];
const edr = require(path.join(folder, "edr.linux-x64-gnu.node"));
const SENDER = Buffer.from("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "hex");
const PROXY = Buffer.from("4e59b44847b379578588920cA78FbF26c0B4956C", "hex");
const PROXY_CODE = Buffer.from(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe036" +
        "01600081602082378035828234f58015156039578182fd5b8082525050506014600cf3",
    "hex",
);

async function provider() {
    const context = new edr.EdrContext();
    await context.registerProviderFactory(edr.L1_CHAIN_TYPE, edr.l1ProviderFactory());
    const hardfork = edr.l1HardforkToString(edr.L1Hardfork.Amsterdam);
    return context.createProvider(
        edr.L1_CHAIN_TYPE,
        {
            allowBlocksWithSameTimestamp: true,
            allowUnlimitedContractSize: false,
            bailOnCallFailure: false,
            bailOnTransactionFailure: false,
            chainId: 31337n,
            coinbase: Buffer.alloc(20),
            defaultTransactionGasLimit: 60_000_000n,
            genesisState: [
                { address: SENDER, balance: 10n ** 24n },
                { address: PROXY, code: PROXY_CODE, nonce: 1n },
                ...edr.l1GenesisState(edr.L1Hardfork.Amsterdam),
            ],
            hardfork,
            initialParentBeaconBlockRoot: Buffer.alloc(32),
            minGasPrice: 0n,
            mining: { autoMine: true, blockGasLimit: 60_000_000n, memPool: { order: edr.MineOrdering.Priority } },
            network: { genesisBlockGasLimit: 60_000_000n },
            networkId: 31337n,
            observability: {},
            ownedAccounts: [],
            precompileOverrides: [],
            // EIP-7825 caps what is executed, not the gas for state; EDR's own cap knows no difference.
            transactionGasCap: false,
        },
        { enable: false, decodeConsoleLogInputsCallback: () => [], printLineCallback: () => {} },
        { subscriptionCallback: () => {} },
        new edr.ContractDecoder(),
    );
}

async function main() {
    const chain = await provider();
    const server = http.createServer((request, response) => {
        const parts = [];
        request.on("data", (part) => parts.push(part));
        request.on("end", async () => {
            // EDR wants the parameters that JSON-RPC lets one leave out.
            const call = { params: [], ...JSON.parse(Buffer.concat(parts).toString()) };
            const answer = (await chain.handleRequest(JSON.stringify(call))).data;
            response.setHeader("content-type", "application/json");
            response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
        });
    });
    server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
    process.stdin.resume().on("end", () => process.exit(0));
}

main().catch((error) => {
    fs.writeSync(2, `${error.stack}\n`);
    process.exit(1);
});
