//! The calldata: its encoding, the transcript over it, and that it is canonical.

use super::*;

impl Generator<'_> {
    // ---- the calldata's encoding

    pub(super) fn guard(&self) -> String {
        let mut code = Code::new(3);
        let (proof, instances) = (self.p.proof_len, self.p.num_instances);
        match self.shape {
            Shape::One => {
                let at = PROOF_OFFSET + proof;
                let words = [(0x04, 0x40), (0x24, 0x60 + proof), (0x44, proof), (at, instances)];
                let size = format!("xor(calldatasize(), {:#x})", at + 32 + 32 * instances);
                let condition = words.iter().fold(size, |all, (offset, value)| {
                    let word = format!("calldataload({offset:#x})");
                    match value {
                        0 => format!("or({all}, {word})"),
                        _ => format!("or({all}, xor({word}, {value:#x}))"),
                    }
                });
                code.line(format!("if {condition} {}", revert("CalldataNotCanonical")));
            }
            Shape::Many => {
                code.line("let n := calldataload(0x44)");
                code.line(format!("if iszero(n) {}", revert("EmptyBatch")));
                code.line(
                    "// More than 2^32 proofs would not fit in a transaction; sums stay small.",
                );
                let element = 0x40 + proof;
                let instance = 0x40 + 32 * instances;
                code.line(format!("let inputs := add(0x60, mul(n, {element:#x}))"));
                code.line(format!(
                    "if or(or(shr(32, n), xor(calldataload(0x04), 0x40)), \
                     or(xor(calldataload(0x24), inputs), or(xor(calldataload(add(inputs, 4)), n), \
                     xor(calldatasize(), add(add(inputs, 0x24), mul(n, {instance:#x})))))) {}",
                    revert("CalldataNotCanonical")
                ));
            }
        }
        code.into_text()
    }

    pub(super) fn open_batch(&mut self) {
        let mut point = || {
            let first = self.slots.take();
            self.slots.take();
            first
        };
        let _ = point();
        let left = point();
        let _ = point();
        let right = point();
        let batch = Batch {
            index: self.slots.take(),
            running: self.slots.take(),
            rho: self.slots.take(),
            left,
            right,
            key: self.layout.key.iter().map(|_| self.slots.take()).collect(),
            generator: self.slots.take(),
        };
        self.code.comment("One proof after the other; sums start as zeros, which is the identity.");
        let index = address(batch.index);
        self.code.open(&format!(
            "for {{ }} lt(mload({index}), calldataload(0x44)) {{ mstore({index}, \
             add(mload({index}), 1)) }} "
        ));
        let (proof, instances) = (self.p.proof_len, self.p.num_instances);
        self.code.open("");
        self.code.line(format!("let index := mload({index})"));
        self.code.line("let n := calldataload(0x44)");
        self.code.line(format!(
            "let proof := add(0x84, add(mul(n, 0x20), mul(index, {:#x})))",
            proof + 32
        ));
        self.code.line("let inputs := add(0x24, calldataload(0x24))");
        self.code.line(format!(
            "if or(xor(calldataload(add(0x64, mul(index, 0x20))), sub(proof, 0x84)), \
             xor(calldataload(sub(proof, 0x20)), {proof:#x})) {}",
            revert("CalldataNotCanonical")
        ));
        self.code.line("let heads := inputs");
        self.code.line(format!(
            "inputs := add(add(inputs, 0x20), add(mul(n, 0x20), mul(index, {:#x})))",
            32 * instances + 32
        ));
        self.code.line(format!(
            "if or(xor(calldataload(add(heads, mul(index, 0x20))), sub(sub(inputs, heads), 0x20)), \
             xor(calldataload(sub(inputs, 0x20)), {instances:#x})) {}",
            revert("CalldataNotCanonical")
        ));
        self.batch = Some(batch);
    }

    // ---- challenges

    pub(super) fn transcript(&mut self) {
        let many = self.shape == Shape::Many;
        let (p, layout) = (self.p, self.layout.clone());
        self.code.phase("transcript: keccak256 over digest, instances and proof");
        let first = &layout.segments[0];
        self.code.line(format!("mstore({}, {:#x})", address(first.start), p.vk_digest));
        if p.num_instances > 0 {
            let from = if many {
                "inputs".to_owned()
            } else {
                format!("{:#x}", PROOF_OFFSET + p.proof_len + 32)
            };
            let (to, length) = (address(first.start + 32), 32 * p.num_instances);
            self.code.line(format!("calldatacopy({to}, {from}, {length:#x})"));
        }
        let mut count = 0;
        for (index, phase) in p.phases.iter().enumerate() {
            let segment = &layout.segments[index];
            let last = index + 1 == p.phases.len();
            // W′ comes along with W.
            let length = phase.absorbs.len() + if last { 0x40 } else { 0 };
            let from = if many {
                match phase.absorbs.start {
                    0 => "proof".to_owned(),
                    start => format!("add(proof, {start:#x})"),
                }
            } else {
                format!("{:#x}", PROOF_OFFSET + phase.absorbs.start)
            };
            if length > 0 {
                let to = address(segment.proof);
                self.code.line(format!("calldatacopy({to}, {from}, {length:#x})"));
            }
            let next = layout.hash_after(index);
            let hash = format!(
                "keccak256({}, {:#x})",
                address(segment.start),
                segment.end - segment.start
            );
            for squeezed in 0..phase.challenges {
                if squeezed == 0 {
                    self.code.line(format!("mstore({}, {hash})", address(next)));
                } else {
                    let hash = format!("keccak256({}, 0x21)", address(next));
                    self.code.line(format!(
                        "mstore8({}, 1) mstore({}, {hash})",
                        address(next + 32),
                        address(next)
                    ));
                }
                let slot = self.slots.take();
                self.challenges.push(slot);
                let name = self.challenge_name(count);
                self.code.line(format!(
                    "mstore({}, mod({}, r)) // {name}",
                    address(slot),
                    load(next)
                ));
                count += 1;
            }
        }
        if let Some(batch) = self.batch.clone() {
            self.batch_challenge(&batch);
        }
    }

    pub(super) fn challenge_name(&self, index: usize) -> String {
        let c = &self.p.challenges;
        let names = [
            (c.theta, "theta"),
            (c.beta, "beta"),
            (c.gamma, "gamma"),
            (c.y, "y"),
            (c.x, "x"),
            (c.zeta, "zeta"),
            (c.nu, "nu"),
            (c.mu, "mu"),
        ];
        names
            .iter()
            .find(|(known, _)| *known == index)
            .map_or_else(|| format!("challenge {index}"), |(_, name)| (*name).to_owned())
    }

    /// ρ = keccak256(running ‖ last hash ‖ W′): it binds this proof and all before it. The first
    /// proof has the weight 1.
    pub(super) fn batch_challenge(&mut self, batch: &Batch) {
        self.code.comment("The weight of this proof binds it and all proofs before it.");
        let w_prime = self.layout.proof(self.p.proof_len - 0x40);
        self.code.line(format!(
            "mstore(0x00, {}) mstore(0x20, {}) mcopy(0x40, {}, 0x40)",
            load(batch.running),
            load(self.layout.last_hash),
            address(w_prime)
        ));
        self.code.line(format!("mstore({}, keccak256(0x00, 0x80))", address(batch.running)));
        // index = 0: 1; else the hash.
        self.code.line(format!("mstore({}, 1)", address(batch.rho)));
        self.code.line(format!(
            "if {} {{ mstore({}, mod({}, r)) }}",
            load(batch.index),
            address(batch.rho),
            load(batch.running)
        ));
    }

    // ---- canonical input

    pub(super) fn canonical(&mut self) {
        self.code.phase("canonical input: scalars below r; no point is (0, 0), which the");
        self.code.comment("precompiles would take for the identity (they check all else)");
        for some in self.p.scalars.chunks(CHECKS) {
            let all = some.iter().fold("ok".to_owned(), |all, at| {
                format!("and(lt({}, r),\n{:16}{all})", load(self.layout.proof(*at)), "")
            });
            self.code.line(format!("ok := {all}"));
        }
        for some in self.p.points.chunks(CHECKS) {
            // y = 0 is not on the curve, which has no point of order two.
            let any = some
                .iter()
                .map(|at| format!("iszero({})", load(self.layout.proof(*at) + 32)))
                .reduce(|any, zero| format!("or({zero},\n{:16}{any})", ""));
            if let Some(any) = any {
                self.code.line(format!("ok := lt({any}, ok)"));
            }
        }
    }
}
