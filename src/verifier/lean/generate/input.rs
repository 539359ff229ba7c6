//! The calldata: its encoding, the transcript over it, and that it is canonical.

use super::*;

impl Generator<'_> {
    // ---- the calldata's encoding

    /// One proof: heads, lengths and size.
    pub(super) fn single(&self) -> String {
        let mut code = Code::new(3);
        let proof = self.p.proof_len;
        let at = PROOF_OFFSET + proof;
        let words = [(0x04, 0x40), (0x24, 0x60 + proof), (0x44, proof)]
            .map(|(offset, value)| format!("xor(calldataload({offset:#x}), {value:#x})"));
        let [first, second, length] = words;
        code.line(format!(
            "if or(or(or({first}, {second}), or({length}, xor(calldataload({at:#x}), length))), \
             xor(calldatasize(), add({at:#x}, stride))) {}",
            revert("CalldataNotCanonical")
        ));
        code.into_text()
    }

    /// Many proofs: heads, lengths and size, then those of each.
    pub(super) fn many(&self) -> String {
        let mut code = Code::new(3);
        let proof = self.p.proof_len;
        let element = 0x40 + proof;
        let error = revert("CalldataNotCanonical");
        code.line("count := calldataload(0x44)");
        code.line(format!("if iszero(count) {}", revert("EmptyBatch")));
        code.line("// More than 2^32 proofs would not fit in a transaction; sums stay small.");
        code.line(format!("inputs := add(0x60, mul(count, {element:#x}))"));
        code.line(format!(
            "if or(or(shr(32, count), xor(calldataload(0x04), 0x40)), \
             or(xor(calldataload(0x24), inputs), or(xor(calldataload(add(inputs, 4)), count), \
             xor(calldatasize(), add(add(inputs, 0x24), mul(count, add(stride, 0x20))))))) {error}"
        ));
        code.line("proof := add(0x84, mul(count, 0x20))");
        code.line("inputs := add(inputs, add(0x44, mul(count, 0x20)))");
        code.line("let heads := add(0x24, calldataload(0x24))");
        code.line("let p := proof let q := inputs");
        code.open(
            "for { let head := 0x64 } lt(head, sub(proof, 0x20)) { head := add(head, 0x20) } ",
        );
        code.line(format!(
            "if or(or(xor(calldataload(head), sub(p, 0x84)), xor(calldataload(sub(p, 0x20)), \
             {proof:#x})), or(xor(calldataload(heads), sub(q, add(calldataload(0x24), 0x44))), \
             xor(calldataload(sub(q, 0x20)), length))) {error}"
        ));
        code.line("heads := add(heads, 0x20)");
        code.line(format!("p := add(p, {:#x}) q := add(q, stride)", proof + 0x20));
        code.close();
        code.into_text()
    }

    /// Keeps the arguments in memory, and begins the loop over the proofs.
    pub(super) fn open_batch(&mut self) {
        let batch = self.batch.clone();
        let stride = self.p.proof_len + 0x20;
        self.code.comment("One proof after the other; sums start as zeros, which is the identity.");
        for (slot, value) in [
            (batch.proof, "proof".to_owned()),
            (batch.inputs, "inputs".to_owned()),
            (batch.stride, "stride".to_owned()),
            (batch.packed, "packed".to_owned()),
            (batch.end, format!("add(proof, mul(count, {stride:#x}))")),
            (batch.many, "gt(count, 1)".to_owned()),
            (batch.rho, "1".to_owned()),
        ] {
            self.code.line(format!("mstore({}, {value})", address(slot)));
        }
        self.code.open("for { } 1 { } ");
    }

    // ---- challenges

    pub(super) fn transcript(&mut self) {
        let (p, layout) = (self.p, self.layout.clone());
        self.code.phase("transcript: keccak256 over digest, instances and proof");
        self.code.open("");
        self.code.line(format!("let at := {}", load(self.batch.proof)));
        let first = &layout.segments[0];
        self.code.line(format!("mstore({}, {:#x})", address(first.start), p.vk_digest));
        self.instances_in(layout.segments[0].start + 32);
        let mut count = 0;
        for (index, phase) in p.phases.iter().enumerate() {
            let segment = &layout.segments[index];
            let last = index + 1 == p.phases.len();
            // W′ comes along with W.
            let length = phase.absorbs.len() + if last { 0x40 } else { 0 };
            let from = match phase.absorbs.start {
                0 => "at".to_owned(),
                start => format!("add(at, {start:#x})"),
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
        self.code.close();
        self.batch_challenge();
    }

    /// Brings the instances to memory, as the words that the transcript hashes.
    fn instances_in(&mut self, to: usize) {
        let (inputs, packed) = (load(self.batch.inputs), load(self.batch.packed));
        let count = self.p.num_instances;
        let words = format!("calldatacopy({}, {inputs}, {:#x})", address(to), 32 * count);
        let packing = self.packing.clone();
        if packing.runs().iter().all(|(width, _)| *width == Width::WORD) {
            if count > 0 {
                self.code.line(words);
            }
            return;
        }
        self.code.line(format!("if iszero({packed}) {{ {words} }}"));
        self.code.open(&format!("if {packed} "));
        self.code.comment("Of a signed number v in few bytes the scalar is r + v mod r.");
        self.code.line(format!("let q := {inputs}"));
        let (mut to, mut from) = (to, 0);
        for (width, count) in packing.runs() {
            self.unpack(*width, *count, to, from);
            to += 32 * count;
            from += width.bytes() * count;
        }
        if !from.is_multiple_of(32) {
            // What is behind the last byte in its word must be zero.
            let rest = 8 * (from % 32);
            self.code.line(format!(
                "if shr({rest:#x}, calldataload(add(q, {from:#x}))) {}",
                revert("CalldataNotCanonical")
            ));
        }
        self.code.close();
    }

    /// Unpacks a run of one width from `from` bytes behind q to memory.
    fn unpack(&mut self, width: Width, count: usize, to: usize, from: usize) {
        let bytes = width.bytes();
        if width == Width::WORD {
            let (to, length) = (address(to), 32 * count);
            self.code.line(format!("calldatacopy({to}, add(q, {from:#x}), {length:#x})"));
            return;
        }
        let shift = 256 - 8 * bytes;
        let scalar = |at: String| format!("mod(add(sar({shift:#x}, calldataload({at})), r), r)");
        let block = match count {
            _ if self.small => 1,
            0..32 => 1,
            32..256 => 4,
            _ => 8,
        };
        let rounds = if count == 1 { 0 } else { count / block };
        if rounds > 0 {
            self.code.open(&format!(
                "for {{ let p := {} let v := add(q, {from:#x}) }} lt(p, {}) {{ p := add(p, {:#x}) \
                 v := add(v, {:#x}) }} ",
                address(to),
                address(to + 32 * block * rounds),
                32 * block,
                bytes * block
            ));
            for index in 0..block {
                let (to, from) = match index {
                    0 => ("p".to_owned(), "v".to_owned()),
                    _ => (
                        format!("add(p, {:#x})", 32 * index),
                        format!("add(v, {:#x})", bytes * index),
                    ),
                };
                self.code.line(format!("mstore({to}, {})", scalar(from)));
            }
            self.code.close();
        }
        for index in block * rounds..count {
            let at = format!("add(q, {:#x})", from + bytes * index);
            self.code.line(format!("mstore({}, {})", address(to + 32 * index), scalar(at)));
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
    pub(super) fn batch_challenge(&mut self) {
        let batch = self.batch.clone();
        self.code.comment(
            "The weight of this proof binds it and all proofs before it; the first's is 1.",
        );
        let w_prime = self.layout.proof(self.p.proof_len - 0x40);
        let scratch = self.layout.accumulator;
        let (running, rho) = (address(batch.running), address(batch.rho));
        self.code.open(&format!("if {} ", load(batch.many)));
        self.code.line(format!(
            "mstore({}, mload({running})) mstore({}, {}) mcopy({}, {}, 0x40)",
            address(scratch),
            address(scratch + 0x20),
            load(self.layout.last_hash),
            address(scratch + 0x40),
            address(w_prime)
        ));
        let hash = format!("keccak256({}, 0x80)", address(scratch));
        self.code.line(format!("let hash := {hash}"));
        self.code.line(format!("if {} {{ mstore({rho}, mod(hash, r)) }}", load(batch.later)));
        self.code.line(format!("mstore({running}, hash)"));
        self.code.close();
    }

    // ---- canonical input

    pub(super) fn canonical(&mut self) {
        self.code.phase("canonical input: scalars below r; no point is (0, 0), which the");
        self.code.comment("precompiles would take for the identity (they check all else)");
        if self.small {
            self.canonical_loops();
            return;
        }
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

    /// The same over neighbours.
    fn canonical_loops(&mut self) {
        let places =
            |all: &[usize]| all.iter().map(|at| self.layout.proof(*at)).collect::<Vec<_>>();
        let (scalars, points) = (places(&self.p.scalars), places(&self.p.points));
        for (all, step, check) in [
            (scalars, 0x20, "ok := and(lt(mload(at), r), ok)"),
            (points, 0x40, "ok := lt(iszero(mload(add(at, 0x20))), ok)"),
        ] {
            for run in all.chunk_by(|before, at| before + step == *at) {
                let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
                self.code.open(&format!(
                    "for {{ let at := {} }} lt(at, {}) {{ at := add(at, {step:#x}) }} ",
                    address(*first),
                    address(last + step)
                ));
                self.code.line(check);
                self.code.close();
            }
        }
    }
}
