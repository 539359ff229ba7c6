//! x, the denominators and the instances.

use super::*;

impl Generator<'_> {
    // ---- x, the denominators and the instances

    /// Takes a slot and makes it an input.
    pub(super) fn slot(&mut self, bound: u64) -> (Id, String) {
        let at = self.slots.take();
        (self.input(load(at), bound), address(at))
    }

    /// Stores a variable in a slot that is an input from then on.
    pub(super) fn save(&mut self, variable: &str, bound: u64) -> Option<Id> {
        let (id, at) = self.slot(bound);
        self.code.line(format!("mstore({at}, {variable})"));
        Some(id)
    }

    pub(super) fn denominators(&mut self) -> Stored {
        let p = self.p;
        let c = p.challenges;
        let mut stored = Stored::default();
        self.code.phase("x^n - 1; the last row and the blinding rows; mu - x*omega^rotation");
        self.code.open("");
        let x_text = self.challenge(c.x);
        let omega = self.literal(p.omega);
        self.code.line(format!("let w := {omega} // omega"));
        self.code.line(format!("let x := {x_text}"));
        self.code.line("let t := x");
        if self.small {
            self.code.open(&format!("for {{ let i := 0 }} lt(i, {}) {{ i := add(i, 1) }} ", p.k));
            self.code.line("t := mulmod(t, t, r)");
            self.code.close();
        } else {
            for _ in 0..p.k {
                self.code.line("t := mulmod(t, t, r)");
            }
        }
        self.x_n = self.slots.take();
        self.code.line(format!("mstore({}, t)", address(self.x_n)));
        self.code.comment("x = 0, for which these differences would wrap, is refused below");
        stored.xn1 = self.save("sub(t, 1)", 1);
        self.code.comment("d = product, n/d = sum of 1/(omega^i*x - 1), for i = 1 to the last row");
        self.code.line("t := mulmod(x, w, r)");
        self.code.line("let d := sub(t, 1)");
        self.code.line("let n := 1");
        let rolled = if self.small && p.last > 2 { 2..p.last } else { 2..2 };
        if !rolled.is_empty() {
            self.code.open(&format!(
                "for {{ let i := {} }} lt(i, {}) {{ i := add(i, 1) }} ",
                rolled.start, rolled.end
            ));
            self.code.line("t := mulmod(t, w, r)");
            self.code.line("n := add(mulmod(n, sub(t, 1), r), d)");
            self.code.line("d := mulmod(d, sub(t, 1), r)");
            self.code.close();
        }
        for row in rolled.end..=p.last {
            self.code.line("t := mulmod(t, w, r)");
            if row == p.last {
                stored.d_blind = self.save("d", 1);
            }
            self.code.line("n := add(mulmod(n, sub(t, 1), r), d)");
            self.code.line("d := mulmod(d, sub(t, 1), r)");
        }
        stored.n_rows = self.save("n", 2);
        stored.d_rows = self.save("d", 1);
        let mu = self.challenge(c.mu);
        for rotation in p.rotations() {
            let point = match rotation {
                0 => "x".to_owned(),
                1 => "mulmod(x, w, r)".to_owned(),
                _ => format!("mulmod(x, {}, r)", self.literal(pow(p.omega, rotation))),
            };
            let (id, at) = self.slot(2);
            self.code
                .line(format!("mstore({at}, add({mu}, sub(r, {point}))) // rotation {rotation}"));
            stored.m.insert(rotation, id);
        }
        self.code.close();
        self.code.phase("instances: sum of v_j*l_j(x), as numerator and denominator");
        self.code.open("");
        self.code.line(format!("let y := {x_text}"));
        if p.num_instances == 0 {
            stored.u0 = self.save("sub(y, 1)", 1);
        } else if p.num_instances <= if self.small { STRAIGHT_LOOP } else { STRAIGHT } {
            self.instances_straight(&mut stored);
        } else {
            self.instances_loop(&mut stored);
        }
        self.code.close();
        self.code.line(format!("if iszero(ok) {}", revert("InputNotCanonical")));
        stored
    }

    /// n/d = Σ v_j/(ω^−j·x − 1). Row 0 comes last, because the product without it gives l_0.
    pub(super) fn instances_straight(&mut self, stored: &mut Stored) {
        self.code.comment("t = omega^-j*x, d = product of (t - 1), n/d = the sum");
        let step = self.literal(pow(self.p.omega, -1));
        self.code.line(format!("let w := {step}"));
        self.code.line("let t := y let d := 1 let n := 0");
        if self.small {
            let (first, last) =
                (self.layout.instance(1), self.layout.instance(self.p.num_instances));
            self.code.open(&format!(
                "for {{ let p := {} }} lt(p, {}) {{ p := add(p, 0x20) }} ",
                address(first),
                address(last)
            ));
            self.code.line("t := mulmod(t, w, r)");
            self.straight_step("mload(p)", "sub(t, 1)");
            self.code.close();
        } else {
            for row in 1..self.p.num_instances {
                self.code.line("t := mulmod(t, w, r)");
                let value = load(self.layout.instance(row));
                self.straight_step(&value, "sub(t, 1)");
            }
        }
        stored.e_rest = self.save("d", 1);
        let value = load(self.layout.instance(0));
        self.straight_step(&value, "sub(y, 1)");
        stored.e = self.save("d", 1);
        stored.n = self.save("n", 2);
    }

    pub(super) fn straight_step(&mut self, value: &str, u: &str) {
        self.code.open("");
        self.code.line(format!("let v := {value}"));
        self.code.line(format!("n := add(mulmod(n, {u}, r), mulmod(v, d, r))"));
        self.code.line(format!("d := mulmod(d, {u}, r)"));
        self.code.line("ok := and(lt(v, r), ok)");
        self.code.close();
    }

    pub(super) fn instances_loop(&mut self, stored: &mut Stored) {
        let total = self.p.num_instances;
        let block = if self.small {
            Some(*BLOCKS.start())
        } else {
            BLOCKS.min_by_key(|block| loop_cost(total, *block))
        }
        .unwrap_or(*BLOCKS.end());
        stored.u0 = self.save("sub(y, 1)", 1);
        let step = self.literal(pow(self.p.omega, -(block as i64)));
        self.code.comment(&format!(
            "y = x*omega^-{block}b in block b; e = y*product, y*n/e - s = the sum"
        ));
        self.code.line("let e := y let n := 0 let s := 0");
        let start = self.layout.instance(0);
        let rounds = total / block;
        self.code.line(format!("let p := {}", address(start)));
        self.code.open(&format!(
            "for {{ }} lt(p, {}) {{ p := add(p, {:#x}) y := mulmod(y, {step}, r) e := mulmod(e, \
             {step}, r) }} ",
            address(start + 32 * block * rounds),
            32 * block
        ));
        let rows: Vec<usize> = (0..block).collect();
        self.rows_at(&rows, "p");
        self.code.close();
        let rest: Vec<usize> = (0..total % block).collect();
        self.rows(&rest, block * rounds);
        stored.e = self.save("e", 1);
        stored.n = self.save("n", 2);
        stored.s = self.save("s", 1);
        stored.y = self.save("y", 1);
    }

    pub(super) fn rows(&mut self, rows: &[usize], first: usize) {
        let values: Vec<String> =
            rows.iter().map(|row| load(self.layout.instance(first + row))).collect();
        self.row_steps(rows, &values);
    }

    pub(super) fn rows_at(&mut self, rows: &[usize], pointer: &str) {
        let values: Vec<String> = rows
            .iter()
            .map(|row| match row {
                0 => format!("mload({pointer})"),
                _ => format!("mload(add({pointer}, {:#x}))", 32 * row),
            })
            .collect();
        self.row_steps(rows, &values);
    }

    /// Two instances a step.
    pub(super) fn row_steps(&mut self, rows: &[usize], values: &[String]) {
        let denominator = |row: usize| {
            let minus = SCALAR_MODULUS - field::word(pow(self.p.omega, row as i64));
            format!("add(y, {minus:#x})")
        };
        // s is at most r before the first step and after the last; a step adds at most 2r.
        let steps = rows.len().div_ceil(2);
        for (step, (rows, values)) in rows.chunks(2).zip(values.chunks(2)).enumerate() {
            let reduce = step % 2 == 1 || step + 1 == steps;
            let sum = |terms: &str| match reduce {
                true => format!("s := mod(add(s, {terms}), r)"),
                false => format!("s := add(s, {terms})"),
            };
            self.code.open("");
            self.code.line(format!("let v := {} let u := {}", values[0], denominator(rows[0])));
            let first = "add(mulmod(n, u, r), mulmod(v, e, r))";
            if let ([_, row], [_, value]) = (rows, values) {
                self.code.line(format!("let v1 := {value} let u1 := {}", denominator(*row)));
                self.code.line("let e1 := mulmod(e, u, r)");
                self.code.line(format!("n := add(mulmod({first}, u1, r), mulmod(v1, e1, r))"));
                self.code.line("e := mulmod(e1, u1, r)");
                self.code.line(sum("add(v, v1)"));
                self.code.line("ok := and(lt(v, r), and(lt(v1, r), ok))");
            } else {
                self.code.line(format!("n := {first}"));
                self.code.line("e := mulmod(e, u, r)");
                self.code.line(sum("v"));
                self.code.line("ok := and(lt(v, r), ok)");
            }
            self.code.close();
        }
    }
}
