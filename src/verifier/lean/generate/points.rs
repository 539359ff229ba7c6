//! The linear combination of the commitments, and the pairing.

use super::*;

impl Generator<'_> {
    // ---- the points

    pub(super) fn combine(&mut self, nodes: &Nodes) {
        let many = self.shape == Shape::Many;
        let (p, layout) = (self.p, self.layout.clone());
        self.code.phase("linear combination of the commitments");
        let key_start = CONSTANTS + 32;
        let transcript = layout.segments[0].start;
        let regions = if many {
            vec![(transcript, layout.end)]
        } else {
            vec![(key_start, layout.pairing + 0x40), (transcript, layout.end)]
        };
        let mut msm = Msm::new(layout.product, layout.spare, regions);
        for (_, at) in &layout.key {
            msm.keep(*at, 0x40);
        }
        for at in &p.points {
            msm.keep(layout.proof(*at), 0x40);
        }
        // The scalars that are left are printed where they are needed.
        let mut roots = nodes.weights.clone();
        roots.push(nodes.w);
        let zeta = self.challenge_ids[p.challenges.zeta];
        let repeated = if many { Vec::new() } else { self.repeated(nodes, zeta) };
        roots.extend(repeated.iter().map(|(_, scalar)| *scalar));
        self.lower.plan(&self.dag, &roots);

        let w_prime = layout.proof(p.proof_len - 0x40);
        if let Some(batch) = self.batch.clone() {
            let at = layout.chain;
            self.code.line(format!(
                "mcopy({}, {}, 0x40) mstore({}, {})",
                address(at),
                address(w_prime),
                address(at + 0x40),
                load(batch.rho)
            ));
            msm.batch(&mut self.code, at, batch.right);
        } else {
            self.code.line(format!(
                "mcopy({}, {}, 0x40) // W' is the right point",
                address(layout.pairing + 0xc0),
                address(w_prime)
            ));
        }
        let mu = self.challenge(p.challenges.mu);
        msm.scaled(&mut self.code, w_prime, &mu, layout.chain);
        let w = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, nodes.w);
        msm.scaled(&mut self.code, layout.proof(p.w()), &w, layout.chain);
        let minus_r = self.dag.neg(nodes.r);
        let minus_r = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, minus_r);
        if let Some(batch) = self.batch.clone() {
            self.key_scalars(&batch, &minus_r, zeta);
        } else {
            msm.flush(&mut self.code);
            let at = layout.chain;
            self.code.line(format!(
                "mstore({}, 1) mstore({}, 2) mstore({}, {minus_r}) // the generator",
                address(at),
                address(at + 0x20),
                address(at + 0x40)
            ));
            msm.add_scaled(&mut self.code, at);
        }

        // Commitments of the key that occur twice get the sum of their scalars; the rest, chains.
        let mut chains: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut quotient_power = 0;
        for set in &p.sets {
            let mut chain = Vec::new();
            for (j, opening) in set.openings.iter().enumerate() {
                match opening.commitment {
                    Commitment::Proof(at) => chain.push((j, layout.proof(at))),
                    Commitment::Quotient => quotient_power = j,
                    Commitment::Key(_) if many => {}
                    Commitment::Key(_) => {
                        let entry = layout
                            .commitment(opening.commitment)
                            .and_then(|address| layout.key.iter().find(|(_, at)| *at == address));
                        if let Some((indices, address)) = entry
                            && indices.len() == 1
                        {
                            chain.push((j, *address));
                        }
                    }
                }
            }
            chain.reverse();
            chains.push(chain);
        }
        for (at, scalar) in repeated {
            let text = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, scalar);
            msm.scaled(&mut self.code, at, &text, layout.chain);
        }
        // Sets other than the first.
        let mut second = Chain::new(layout.chain);
        for (index, points) in chains.iter().enumerate().skip(1).rev() {
            let Some((last, _)) = points.last() else { continue };
            let at = msm.horner(&mut self.code, &mut second, points, None, |code, gap| {
                let id = quotient::power(&mut self.dag, zeta, gap);
                self.lower.reduced(&self.dag, code, &mut self.slots, id)
            });
            let power = quotient::power(&mut self.dag, zeta, *last);
            let weight = self.dag.mul(power, nodes.weights[index]);
            let text = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, weight);
            msm.scaled(&mut self.code, at, &text, layout.chain);
            // The scalar of the set stands where the power of zeta stood.
            second = Chain::new(layout.chain);
        }
        // The pieces of the quotient, into the place of the lowest.
        let pieces: Vec<(usize, usize)> =
            p.quotient.iter().enumerate().map(|(i, at)| (i, layout.proof(*at))).rev().collect();
        let lowest = layout.proof(p.quotient[0]);
        msm.flush(&mut self.code);
        self.code.comment("the quotient, by powers of x^n");
        let x_n = load(self.x_n);
        let mut first = Chain::new(ACCUMULATOR);
        let combined =
            msm.horner(&mut self.code, &mut first, &pieces, Some(lowest), |_, _| x_n.clone());
        msm.keep(combined, 0x40);
        msm.flush(&mut self.code);
        self.code.comment("everything that is opened at x only, by powers of zeta");
        let mut points = chains[0].clone();
        points.push((quotient_power, combined));
        points.sort_unstable_by_key(|(j, _)| std::cmp::Reverse(*j));
        let mut first = Chain::new(ACCUMULATOR);
        let last = points.last().map_or(0, |(j, _)| *j);
        let target = if last == 0 { layout.product } else { ACCUMULATOR };
        let at = msm.horner(&mut self.code, &mut first, &points, Some(target), |code, gap| {
            let id = quotient::power(&mut self.dag, zeta, gap);
            self.lower.reduced(&self.dag, code, &mut self.slots, id)
        });
        let output = if many { ACCUMULATOR } else { layout.pairing };
        if last == 0 && at == layout.product {
            msm.add(&mut self.code, layout.product, output);
        } else {
            let power = quotient::power(&mut self.dag, zeta, last);
            let text = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, power);
            msm.scaled(&mut self.code, at, &text, ACCUMULATOR);
            msm.flush(&mut self.code);
            let (to, from) = (address(output), address(layout.sum));
            self.code.line(format!("mcopy({to}, {from}, 0x40)"));
        }
        msm.flush(&mut self.code);
        if let Some(batch) = self.batch.clone() {
            self.close_batch(&batch, &mut msm);
        }
        self.code.line(format!("if iszero(ok) {}", revert("InvalidPoint")));
        self.code.phase("pairing");
        msm.pair(&mut self.code, layout.pairing);
        self.code.line(format!("if iszero(and(mload(0x00), ok)) {}", revert("ProofRejected")));
        self.code.line("mstore(0x00, 1)");
        self.code.line("return(0x00, 0x20)");
    }

    /// Commitments of the key that occur more than once, with the sums of their scalars.
    pub(super) fn repeated(&mut self, nodes: &Nodes, zeta: Id) -> Vec<(usize, Id)> {
        let mut repeated = Vec::new();
        for (indices, at) in self.layout.key.clone().iter().filter(|(i, _)| i.len() > 1) {
            let mut sum = self.dag.constant(Fr::from(0u64));
            for (set, weight) in self.p.sets.iter().zip(&nodes.weights) {
                for (j, opening) in set.openings.iter().enumerate() {
                    if let Commitment::Key(key) = opening.commitment
                        && indices.contains(&key)
                    {
                        let power = quotient::power(&mut self.dag, zeta, j);
                        let term = self.dag.mul(power, *weight);
                        sum = self.dag.add(sum, term);
                    }
                }
            }
            repeated.push((*at, sum));
        }
        repeated
    }

    /// Adds ρ·scalar to the sums of the key's commitments and of the generator.
    pub(super) fn key_scalars(&mut self, batch: &Batch, minus_r: &str, zeta: Id) {
        self.code.comment("the scalars of the key's commitments are summed over the batch");
        let (p, layout) = (self.p, self.layout.clone());
        self.code.open("");
        let zeta_text = self.lower.known(zeta).map(|piece| piece.text.clone()).unwrap_or_default();
        self.code.line(format!("let rho := {} let zeta := {zeta_text}", load(batch.rho)));
        let at = address(batch.generator);
        self.code.line(format!("mstore({at}, addmod(mload({at}), mulmod({minus_r}, rho, r), r))"));
        let mut entries: Vec<(usize, usize)> = Vec::new();
        for (j, opening) in p.sets[0].openings.iter().enumerate() {
            if let Some(address) = layout.commitment(opening.commitment)
                && let Some(place) = layout.key.iter().position(|(_, at)| *at == address)
            {
                entries.push((j, batch.key[place]));
            }
        }
        if let Some((first, _)) = entries.first() {
            let power = quotient::power(&mut self.dag, zeta, *first);
            let text = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, power);
            self.code.line(format!("let b := mulmod(rho, {text}, r)"));
            let mut at_power = *first;
            for (j, slot) in &entries {
                for _ in at_power..*j {
                    self.code.line("b := mulmod(b, zeta, r)");
                }
                at_power = *j;
                let at = address(*slot);
                self.code.line(format!("mstore({at}, addmod(mload({at}), b, r))"));
            }
        }
        self.code.close();
    }

    /// Ends the loop over the proofs and adds what the batch shares.
    pub(super) fn close_batch(&mut self, batch: &Batch, msm: &mut Msm) {
        let layout = self.layout.clone();
        self.code.line(format!("mstore({}, {})", address(ACCUMULATOR + 0x40), load(batch.rho)));
        msm.batch(&mut self.code, ACCUMULATOR, batch.left);
        self.code.line(format!("if iszero(ok) {}", revert("InvalidPoint")));
        self.code.close();
        self.code.phase("the commitments of the key, once for the batch");
        for ((_, at), slot) in layout.key.iter().zip(&batch.key).rev() {
            self.code.line(format!("mstore({}, {})", address(at + 0x40), load(*slot)));
            msm.batch(&mut self.code, *at, batch.left);
        }
        let at = layout.chain;
        self.code.line(format!(
            "mstore({}, 1) mstore({}, 2) mstore({}, {})",
            address(at),
            address(at + 0x20),
            address(at + 0x40),
            load(batch.generator)
        ));
        msm.batch(&mut self.code, at, batch.left);
        self.code.line(format!(
            "mcopy({}, {}, 0x40) mcopy({}, {}, 0x40)",
            address(layout.pairing),
            address(batch.left),
            address(layout.pairing + 0xc0),
            address(batch.right)
        ));
    }
}
