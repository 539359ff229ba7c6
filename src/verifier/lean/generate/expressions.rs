//! The quotient and the opening as expressions.

use super::*;

impl Generator<'_> {
    // ---- the expressions

    pub(super) fn nodes(&mut self, stored: &Stored) -> Nodes {
        let p = self.p;
        let c = p.challenges;
        let challenges: Vec<Id> = (0..p.num_challenges())
            .map(|index| self.input(load(self.challenges[index]), 1))
            .collect();
        self.challenge_ids = challenges.clone();
        let x = challenges[c.x];
        let zero = self.dag.constant(Fr::from(0u64));
        let get = |id: Option<Id>| id.unwrap_or(zero);
        let (xn1, d_rows) = (get(stored.xn1), get(stored.d_rows));
        let rotations = p.rotations();
        let m = &stored.m;
        let first_set = &p.sets[0].rotations;
        let d0 =
            self.dag.product(rotations.iter().filter(|r| !first_set.contains(r)).map(|r| m[r]));
        let mut elements = vec![xn1, d_rows];
        elements.extend(stored.e);
        elements.extend(stored.u0);
        elements.push(d0);
        // x = 0 would wrap x − 1 and the like: it must be among what is not zero.
        elements.push(x);
        elements.retain(|id| self.dag.as_const(*id).is_none());
        let mut prefixes = Vec::new();
        let mut product = self.dag.constant(Fr::one());
        for element in &elements {
            prefixes.push(product);
            product = self.dag.mul(product, *element);
        }
        let inverse_at = self.slots.take();
        let inverse = self.input(load(inverse_at), 1);
        let mut inverses = HashMap::new();
        let mut suffix = inverse;
        for (element, prefix) in elements.iter().zip(&prefixes).rev() {
            inverses.insert(*element, self.dag.mul(suffix, *prefix));
            suffix = self.dag.mul(suffix, *element);
        }
        let one = self.dag.constant(Fr::one());
        let inverse_of = |id: Id| inverses.get(&id).copied().unwrap_or(one);

        // Lagrange evaluations: l_i(x) = (xⁿ − 1)/n / (ω^−i·x − 1).
        let dag = &mut self.dag;
        let n_inverse = dag.constant(pow(Fr::from(1u64 << p.k), -1));
        let common = dag.mul(n_inverse, xn1);
        let rows = dag.mul(common, inverse_of(d_rows));
        let l_last = dag.mul(rows, get(stored.d_blind));
        let l_all = dag.mul(rows, get(stored.n_rows));
        let l_0 = stored.u0.map(|u0| dag.mul(common, inverse_of(u0)));
        let (l_0, instance) = match stored.e {
            None => (get(l_0), zero),
            Some(e) => {
                let row = dag.mul(common, inverse_of(e));
                let mut instance = dag.mul(row, get(stored.n));
                if let (Some(y), Some(s)) = (stored.y, stored.s) {
                    let scaled = dag.mul(instance, y);
                    let rest = dag.mul(common, s);
                    instance = dag.sub(scaled, rest);
                }
                (l_0.unwrap_or_else(|| dag.mul(row, get(stored.e_rest))), instance)
            }
        };

        // From here on they are inputs, which are computed first.
        let computed = [l_last, l_all, l_0, instance];
        let mut lagrange = Vec::new();
        for node in computed {
            let slot = self.slots.take();
            let constant = self.dag.as_const(node).is_some();
            let id = if constant { node } else { self.input(load(slot), 2) };
            lagrange.push((id, node, slot));
        }
        let [l_last, l_all, l_0, instance] = [0, 1, 2, 3].map(|i: usize| lagrange[i].0);
        let l_blind = self.dag.sub(l_all, l_last);

        // Evaluations of the proof are read from the transcript in memory.
        let evaluations: HashMap<usize, Id> =
            p.scalars.iter().map(|at| (*at, self.input(load(self.layout.proof(*at)), 1))).collect();
        let inputs = &p.inputs;
        let terms = self.dag.import(&p.dag, &p.terms, |_, index| match inputs[index as usize] {
            Input::Evaluation(at) => evaluations.get(&at).copied().unwrap_or(zero),
            Input::Challenge(index) => challenges[index],
            Input::LLast => l_last,
            Input::LBlind => l_blind,
            Input::L0 => l_0,
            Input::Instance => instance,
        });
        let terms = selected::rewrite(&mut self.dag, &terms, &challenges);
        let numerator = quotient::arrange(&mut self.dag, &terms, challenges[c.y]);
        let quotient = self.dag.mul(numerator, inverse_of(xn1));

        // The opening.
        let value = |evaluation: &Evaluation| match evaluation {
            Evaluation::Proof(at) => evaluations.get(at).copied().unwrap_or(zero),
            Evaluation::Quotient => quotient,
        };
        let mut r = zero;
        let mut weights = Vec::new();
        let mut nu_power = one;
        for (index, set) in p.sets.iter().enumerate() {
            let sum =
                self.opened(set, &value, challenges[c.zeta], m, inverse_of(x), inverse_of(d0));
            let dag = &mut self.dag;
            let sum = dag.mul(nu_power, sum);
            r = dag.add(r, sum);
            let outside: Vec<Id> =
                rotations.iter().filter(|r| !set.rotations.contains(r)).map(|r| m[r]).collect();
            let weight = if index == 0 {
                one
            } else {
                let outside = dag.product(outside);
                let outside = dag.mul(outside, inverse_of(d0));
                dag.mul(nu_power, outside)
            };
            weights.push(weight);
            nu_power = dag.mul(nu_power, challenges[c.nu]);
        }
        let d_first = self.dag.product(first_set.iter().map(|r| m[r]));
        let w = self.dag.neg(d_first);
        Nodes { product, inverse_at, lagrange, quotient, r, weights, w }
    }

    /// D_0/D_i·Σ_r ℓ_r(μ)·Σ_j ζʲ·e_{j,r} of one set.
    pub(super) fn opened(
        &mut self,
        set: &OpeningSet,
        value: &impl Fn(&Evaluation) -> Id,
        zeta: Id,
        m: &BTreeMap<i64, Id>,
        x_inverse: Id,
        d0_inverse: Id,
    ) -> Id {
        let dag = &mut self.dag;
        let (omega, first) = (self.p.omega, *set == self.p.sets[0]);
        let mut sum = dag.constant(Fr::from(0u64));
        let mut scale = None;
        for (index, rotation) in set.rotations.iter().enumerate() {
            let values: BTreeMap<usize, Id> = set
                .openings
                .iter()
                .enumerate()
                .map(|(j, opening)| (j, value(&opening.evaluations[index])))
                .collect();
            let column = quotient::horner(dag, &values, zeta);
            if first && set.rotations.len() == 1 {
                return column;
            }
            // Π 1/(ω^r − ω^other): the ratio to the first rotation's, so that one factor serves.
            let basis: Fr = set
                .rotations
                .iter()
                .filter(|other| *other != rotation)
                .map(|other| pow(omega, *rotation) - pow(omega, *other))
                .fold(Fr::one(), |product, difference| product * difference);
            let basis = basis.inverse().unwrap_or_else(Fr::one);
            let ratio = basis * scale.get_or_insert(basis).inverse().unwrap_or_else(Fr::one);
            let others = dag.product(m.iter().filter(|(r, _)| *r != rotation).map(|(_, id)| *id));
            let others = dag.mul(others, column);
            let ratio = dag.constant(ratio);
            let term = dag.mul(ratio, others);
            sum = dag.add(sum, term);
        }
        // 1/x for each difference of points.
        let mut factor = dag.constant(scale.unwrap_or_else(Fr::one));
        for _ in 1..set.rotations.len() {
            factor = dag.mul(factor, x_inverse);
        }
        factor = dag.mul(factor, d0_inverse);
        dag.mul(factor, sum)
    }
}
