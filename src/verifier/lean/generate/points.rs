//! The linear combination of the commitments, and the pairing.

use super::{super::protocol::Opening, *};

/// Stands for a power of ζ that differs between one proof and many.
const EITHER: usize = 1 << 40;

/// A point of the first set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    At(usize),
    /// The pieces of the quotient, combined.
    Quotient,
}

/// Neighbours in the first set, with their powers of ζ, descending.
struct Stretch {
    of_key: bool,
    points: Vec<(usize, Point)>,
}

impl Generator<'_> {
    // ---- the points

    pub(super) fn combine(&mut self, nodes: &Nodes) {
        let (p, layout, batch) = (self.p, self.layout.clone(), self.batch.clone());
        self.code.phase("linear combination of the commitments");
        let regions = vec![(layout.segments[0].start, layout.end)];
        let mut msm = Msm::new(layout.product, layout.spare, regions, self.small);
        for at in &p.points {
            msm.keep(layout.proof(*at), 0x40);
        }
        // The scalars that are left are printed where they are needed.
        let zeta = self.challenge_ids[p.challenges.zeta];
        let mut roots = nodes.weights.clone();
        roots.push(nodes.w);
        let openings = self.first_set();
        let separate = self.separate(nodes, zeta, &openings);
        roots.extend(separate.iter().map(|(_, scalar)| *scalar));
        self.lower.plan(&self.dag, &roots);

        let w_prime = layout.proof(p.proof_len - 0x40);
        self.right_side(&batch, &mut msm, w_prime);
        let mu = self.challenge(p.challenges.mu);
        msm.scaled(&mut self.code, w_prime, &mu, layout.chain);
        let w = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, nodes.w);
        msm.scaled(&mut self.code, layout.proof(p.w()), &w, layout.chain);
        msm.flush(&mut self.code);
        let minus_r = self.dag.neg(nodes.r);
        let minus_r = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, minus_r);
        self.key_scalars(&batch, &minus_r, zeta, nodes);
        self.alone(&batch, &mut msm, &separate);

        // Sets other than the first.
        let mut second = Chain::new(layout.chain);
        for (index, set) in p.sets.iter().enumerate().skip(1).rev() {
            let proof = |(j, opening): (usize, &Opening)| match opening.commitment {
                Commitment::Proof(at) => Some((j, layout.proof(at))),
                Commitment::Key(_) | Commitment::Quotient => None,
            };
            let points: Vec<_> = set.openings.iter().enumerate().filter_map(proof).rev().collect();
            let Some((last, _)) = points.last() else { continue };
            let at = msm.horner(&mut self.code, &mut second, &points, None, |code, gap| {
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
        let mut first = Chain::new(layout.accumulator);
        let combined =
            msm.horner(&mut self.code, &mut first, &pieces, Some(lowest), |_, _| x_n.clone());
        msm.keep(combined, 0x40);
        msm.flush(&mut self.code);
        self.code.comment("everything that is opened at x only, by powers of zeta");
        let (at, last) = self.first_chain(&batch, &mut msm, zeta, &openings, combined);
        if last == 0 && at == layout.product {
            msm.add(&mut self.code, layout.product, layout.accumulator);
        } else {
            let power = quotient::power(&mut self.dag, zeta, last);
            let text = self.lower.reduced(&self.dag, &mut self.code, &mut self.slots, power);
            msm.scaled(&mut self.code, at, &text, layout.accumulator);
            msm.flush(&mut self.code);
            let (to, from) = (address(layout.accumulator), address(layout.sum));
            self.code.line(format!("mcopy({to}, {from}, 0x40)"));
        }
        msm.flush(&mut self.code);
        self.close_batch(&batch, &mut msm);
    }

    /// W′ is the right side: of the first proof as it is, of the others times their weights.
    fn right_side(&mut self, batch: &Batch, msm: &mut Msm, w_prime: usize) {
        let (at, right) = (self.layout.chain, self.layout.pairing + 0xc0);
        let product = self.layout.spare;
        self.code.line(format!("mcopy({}, {}, 0x40)", address(at), address(w_prime)));
        self.code.open(&format!("if {} ", load(batch.later)));
        self.code.line(format!("mstore({}, {})", address(at + 0x40), load(batch.rho)));
        self.code.line(format!("mcopy({}, {}, 0x40)", address(product + 0x40), address(right)));
        msm.sum(&mut self.code, at, product, at);
        self.code.close();
        self.code.line(format!("mcopy({}, {}, 0x40)", address(right), address(at)));
    }

    /// What is opened at x only, from the highest power of ζ down: stretches of the proof's points,
    /// and between them of the key's.
    fn first_set(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for (j, opening) in self.p.sets[0].openings.iter().enumerate().rev() {
            let (of_key, point) = match opening.commitment {
                Commitment::Proof(at) => (false, Point::At(self.layout.proof(at))),
                Commitment::Quotient => (false, Point::Quotient),
                Commitment::Key(_) => match self.key_place(opening.commitment) {
                    Some(place) => (true, Point::At(self.layout.key[place].1)),
                    // A commitment that is zero.
                    None => continue,
                },
            };
            match stretches.last_mut() {
                Some(last) if last.of_key == of_key => last.points.push((j, point)),
                _ => stretches.push(Stretch { of_key, points: vec![(j, point)] }),
            }
        }
        // At an end there is nothing that the stretch could be chained to.
        let ends = [0, stretches.len().saturating_sub(1)];
        let repeated = |at: &Point| match at {
            Point::At(at) => self.times(*at) > 1,
            Point::Quotient => false,
        };
        for (index, stretch) in stretches.iter_mut().enumerate().filter(|(_, it)| it.of_key) {
            stretch.points.retain(|(_, at)| !ends.contains(&index) && !repeated(at));
        }
        stretches
    }

    /// How often the commitment of the key at this address is opened.
    fn times(&self, at: usize) -> usize {
        let openings = self.p.sets.iter().flat_map(|set| &set.openings);
        openings.filter(|it| self.layout.commitment(it.commitment) == Some(at)).count()
    }

    /// Commitments of the key that no chain has, with the sums of their scalars.
    fn separate(&mut self, nodes: &Nodes, zeta: Id, chained: &[Stretch]) -> Vec<(usize, Id)> {
        let chained: Vec<&Point> = (chained.iter().filter(|stretch| stretch.of_key))
            .flat_map(|stretch| stretch.points.iter().map(|(_, point)| point))
            .collect();
        let mut separate = Vec::new();
        for (_, at) in self.layout.key.clone() {
            if chained.contains(&&Point::At(at)) {
                continue;
            }
            let mut sum = self.dag.constant(Fr::from(0u64));
            for (set, weight) in self.p.sets.iter().zip(&nodes.weights) {
                for (j, opening) in set.openings.iter().enumerate() {
                    if self.layout.commitment(opening.commitment) == Some(at) {
                        let power = quotient::power(&mut self.dag, zeta, j);
                        let term = self.dag.mul(power, *weight);
                        sum = self.dag.add(sum, term);
                    }
                }
            }
            separate.push((at, sum));
        }
        separate
    }

    /// The key's commitments that no chain has, where there is one proof only.
    fn alone(&mut self, batch: &Batch, msm: &mut Msm, separate: &[(usize, Id)]) {
        if separate.is_empty() {
            return;
        }
        let mut scalars = Vec::new();
        for (at, scalar) in separate {
            self.lower.store(&self.dag, &mut self.code, &mut self.slots, *scalar);
            let piece = self.lower.lower(&self.dag, &mut self.code, &mut self.slots, *scalar);
            scalars.push((*at, piece.text));
        }
        self.code.open(&format!("if iszero({}) ", load(batch.many)));
        for (at, text) in scalars {
            msm.scaled(&mut self.code, at, &text, self.layout.chain);
        }
        msm.flush(&mut self.code);
        self.code.close();
    }

    /// Σ ζ^j·point over the first set; the key's points only where there is one proof. Gives the place of the
    /// sum and the power of ζ that it lacks.
    fn first_chain(
        &mut self,
        batch: &Batch,
        msm: &mut Msm,
        zeta: Id,
        stretches: &[Stretch],
        combined: usize,
    ) -> (usize, usize) {
        let layout = self.layout.clone();
        let place = |point: &Point| match point {
            Point::At(at) => *at,
            Point::Quotient => combined,
        };
        let (key_start, key_end) = (layout.start + 32, layout.pairing + 0x40);
        let mut chain = Chain::new(layout.accumulator);
        // Where the sum is, and the power that it lacks.
        let mut so_far: Option<(usize, usize)> = None;
        let last_stretch = stretches.iter().rposition(|stretch| !stretch.of_key);
        for (index, stretch) in stretches.iter().enumerate() {
            let mut points: Vec<(usize, usize)> =
                stretch.points.iter().map(|(j, point)| (*j, place(point))).collect();
            if !stretch.of_key {
                points.splice(0..0, so_far.map(|(at, power)| (power, at)));
                let last = points.last().map_or(0, |(j, _)| *j);
                let target = (Some(index) == last_stretch && last == 0).then_some(layout.product);
                let (dag, lower, slots) = (&mut self.dag, &mut self.lower, &mut self.slots);
                let at = msm.horner(&mut self.code, &mut chain, &points, target, |code, gap| {
                    let id = quotient::power(dag, zeta, gap);
                    lower.reduced(dag, code, slots, id)
                });
                so_far = Some((at, last));
                continue;
            }
            let next = stretches.get(index + 1).and_then(|stretch| stretch.points.first());
            let (Some((at, power)), Some((next, _)), false) = (so_far, next, points.is_empty())
            else {
                continue;
            };
            msm.flush(&mut self.code);
            if at != layout.accumulator {
                let (to, from) = (address(layout.accumulator), address(at));
                self.code.line(format!("mcopy({to}, {from}, 0x40)"));
            }
            msm.release(at);
            let text = |generator: &mut Self, power: usize| {
                let id = quotient::power(&mut generator.dag, zeta, power);
                // Nothing that is stored in one branch may be used outside of it.
                let Generator { dag, lower, code, slots, .. } = generator;
                lower.reduced(dag, code, slots, id)
            };
            let gaps: Vec<usize> = points
                .iter()
                .map(|(j, _)| *j)
                .scan(power, |before, j| Some(std::mem::replace(before, j) - j))
                .collect();
            let last = points.last().map_or(power, |(j, _)| *j);
            let scalar = address(layout.accumulator + 0x40);
            let texts: BTreeMap<usize, String> = gaps
                .iter()
                .copied()
                .chain([last - next, power - next])
                .map(|gap| (gap, text(self, gap)))
                .collect();
            self.code.open(&format!("if iszero({}) ", load(batch.many)));
            let mut only = msm.within((key_start, key_end));
            for (_, at) in &layout.key {
                only.keep(*at, 0x40);
            }
            let steps: Vec<_> =
                std::iter::once((power, layout.accumulator)).chain(points).collect();
            let mut held = Chain::new(layout.accumulator);
            let target = Some(layout.accumulator);
            only.horner(&mut self.code, &mut held, &steps, target, |_, gap| texts[&gap].clone());
            only.flush(&mut self.code);
            if gaps.last() != Some(&(last - next)) {
                self.code.line(format!("mstore({scalar}, {})", texts[&(last - next)]));
            }
            self.code.close();
            self.code.open(&format!("if {} ", load(batch.many)));
            self.code.line(format!("mstore({scalar}, {})", texts[&(power - next)]));
            self.code.close();
            // The scalar is in its place, whichever power of ζ it is.
            chain = Chain::holding(layout.accumulator, EITHER);
            so_far = Some((layout.accumulator, next + EITHER));
        }
        so_far.unwrap_or((layout.product, 0))
    }

    /// The number of a commitment of the key in the layout's order.
    fn key_place(&self, commitment: Commitment) -> Option<usize> {
        let Commitment::Key(_) = commitment else { return None };
        let address = self.layout.commitment(commitment)?;
        self.layout.key.iter().position(|(_, at)| *at == address)
    }

    /// Adds ρ·scalar to the sums of the generator and, where there are many proofs, of the key's commitments.
    fn key_scalars(&mut self, batch: &Batch, minus_r: &str, zeta: Id, nodes: &Nodes) {
        self.code.comment("the scalars of the key's commitments are summed over the batch");
        let p = self.p;
        let at = address(batch.generator);
        let rho = load(batch.rho);
        self.code
            .line(format!("mstore({at}, addmod(mload({at}), mulmod({minus_r}, {rho}, r), r))"));
        // What is stored for these texts is stored before the branch.
        let text = |generator: &mut Self, id: Id| {
            let Generator { dag, lower, code, slots, .. } = generator;
            lower.reduced(dag, code, slots, id)
        };
        let zeta_text = self.lower.known(zeta).map(|piece| piece.text.clone()).unwrap_or_default();
        let mut further = Vec::new();
        for (set, weight) in p.sets.iter().zip(&nodes.weights).skip(1) {
            for (j, opening) in set.openings.iter().enumerate() {
                if let Some(place) = self.key_place(opening.commitment) {
                    let power = quotient::power(&mut self.dag, zeta, j);
                    let scalar = self.dag.mul(power, *weight);
                    further.push((batch.key[place], text(self, scalar)));
                }
            }
        }
        let entries: Vec<(usize, usize)> = (p.sets[0].openings.iter().enumerate())
            .filter_map(|(j, opening)| Some((j, batch.key[self.key_place(opening.commitment)?])))
            .collect();
        let first = entries.first().map_or(0, |(j, _)| *j);
        let power = quotient::power(&mut self.dag, zeta, first);
        let power = text(self, power);
        self.code.open(&format!("if {} ", load(batch.many)));
        self.code.line(format!("let rho := {rho} let zeta := {zeta_text}"));
        self.code.line(format!("let b := mulmod(rho, {power}, r)"));
        let mut at_power = first;
        let mut entries = &entries[..];
        while let Some((j, slot)) = entries.first() {
            let alike =
                |two: &[(usize, usize)]| two[0].0 + 1 == two[1].0 && two[0].1 + 32 == two[1].1;
            let run = 1 + entries.windows(2).take_while(|two| alike(two)).count();
            if self.small && run >= ROLLED {
                for _ in at_power..*j {
                    self.code.line("b := mulmod(b, zeta, r)");
                }
                self.code.open(&format!(
                    "for {{ let at := {} }} lt(at, {}) {{ at := add(at, 0x20) }} ",
                    address(*slot),
                    address(slot + 32 * run)
                ));
                self.code.line("mstore(at, addmod(mload(at), b, r)) b := mulmod(b, zeta, r)");
                self.code.close();
                at_power = j + run;
                entries = &entries[run..];
                continue;
            }
            entries = &entries[1..];
            for _ in at_power..*j {
                self.code.line("b := mulmod(b, zeta, r)");
            }
            at_power = *j;
            let at = address(*slot);
            self.code.line(format!("mstore({at}, addmod(mload({at}), b, r))"));
        }
        for (slot, text) in further {
            let at = address(slot);
            self.code.line(format!("mstore({at}, addmod(mload({at}), mulmod({text}, rho, r), r))"));
        }
        self.code.close();
    }

    /// Adds the left side; after the last proof adds what they share, and decides.
    fn close_batch(&mut self, batch: &Batch, msm: &mut Msm) {
        let (p, layout) = (self.p, self.layout.clone());
        let left = batch.left;
        let (first, sum) = (address(layout.accumulator), address(left));
        self.code.open(&format!("if {} ", load(batch.later)));
        self.code.line(format!(
            "mstore({}, {})",
            address(layout.accumulator + 0x40),
            load(batch.rho)
        ));
        msm.sum(&mut self.code, layout.accumulator, left - 0x40, layout.accumulator);
        self.code.close();
        self.code.line(format!("mcopy({sum}, {first}, 0x40)"));
        self.code.line(format!("mstore({}, 1)", address(batch.later)));
        let stride = p.proof_len + 0x20;
        self.code.line(format!("let next := add({}, {stride:#x})", load(batch.proof)));
        self.code.open(&format!("if eq(next, {}) ", load(batch.end)));
        self.code.phase("what a batch shares: the commitments of the key, and the generator");
        if let (Some((_, first)), Some((_, last)), Some(slot)) =
            (layout.key.first(), layout.key.last(), batch.key.last())
        {
            self.code.open(&format!("if {} ", load(batch.many)));
            self.code.line(format!("let scalar := {}", address(*slot)));
            self.code.open(&format!(
                "for {{ let at := {} }} gt(at, {}) {{ at := sub(at, 0x40) scalar := sub(scalar, 0x20) }} ",
                address(*last),
                address(first - 1)
            ));
            self.code.line("mstore(add(at, 0x40), mload(scalar))");
            msm.sum_at(&mut self.code, "at", left - 0x40, left);
            self.code.close();
            self.code.close();
        }
        let at = layout.chain;
        self.code.line(format!(
            "mstore({}, 1) mstore({}, 2) mstore({}, {})",
            address(at),
            address(at + 0x20),
            address(at + 0x40),
            load(batch.generator)
        ));
        msm.sum(&mut self.code, at, left - 0x40, layout.pairing);
        self.code.line(format!("if iszero(ok) {}", revert("InvalidPoint")));
        self.code.phase("pairing");
        msm.pair(&mut self.code, layout.pairing);
        self.code.line(format!("if iszero(and(mload(0x00), ok)) {}", revert("ProofRejected")));
        self.code.line("mstore(0x00, 1)");
        self.code.line("return(0x00, 0x20)");
        self.code.close();
        self.code.line(format!("if iszero(ok) {}", revert("InvalidPoint")));
        let inputs = address(batch.inputs);
        self.code.line(format!(
            "mstore({}, next) mstore({inputs}, add(mload({inputs}), {}))",
            address(batch.proof),
            load(batch.stride)
        ));
        self.code.close();
        // Not reached; the compiler would warn of a value that is not returned.
        self.code.line("revert(0x00, 0x00)");
    }
}
