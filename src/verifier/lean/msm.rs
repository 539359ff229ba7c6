//! Prints the multi-scalar multiplication.
//!
//! Horner's rule multiplies an accumulator by ζ and adds the next commitment. The precompile for
//! addition wants its two points side by side, so that the product is written beside the
//! commitment, over bytes that are not needed any more: nothing is copied. Calls are conjoined in
//! one expression and therefore run innermost first.

use super::emit::{Code, address};
use std::collections::BTreeMap;

/// Gas for one multiplication, addition and pairing. A failing precompile takes all that it was
/// given; these are five times, twenty times and four times what they cost, so that a bad point
/// costs no more than a good proof, and a change of price has room.
const CAPS: [(u8, usize); 3] = [(7, 30_000), (6, 3_000), (8, 500_000)];

/// Loops that save code begin at this many steps.
pub(crate) const ROLLED: usize = 3;

/// Calls in one statement; the innermost, which is printed last, runs first.
const CALLS: usize = 16;

/// Points that are still needed, by address, and the code.
#[derive(Clone, Debug)]
pub(crate) struct Msm {
    live: BTreeMap<usize, usize>,
    /// Regions in which dead bytes may be overwritten.
    regions: Vec<(usize, usize)>,
    pending: Vec<String>,
    product: usize,
    sum: usize,
    spare: usize,
    sum_started: bool,
    /// Whether steps that are alike go in loops.
    small: bool,
}

/// An accumulator with its scalar in the word after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    /// Where the accumulator is.
    pub(crate) accumulator: usize,
    /// Which power of ζ stands in its scalar.
    held: Option<usize>,
}

impl Chain {
    pub(crate) fn new(accumulator: usize) -> Self {
        Self { accumulator, held: None }
    }

    /// With a scalar in its place already.
    pub(crate) fn holding(accumulator: usize, power: usize) -> Self {
        Self { accumulator, held: Some(power) }
    }
}

impl Msm {
    pub(crate) fn new(
        product: usize,
        spare: usize,
        regions: Vec<(usize, usize)>,
        small: bool,
    ) -> Self {
        Self {
            live: BTreeMap::new(),
            regions,
            pending: Vec::new(),
            product,
            sum: product + 0x40,
            spare,
            sum_started: false,
            small,
        }
    }

    /// The same points, and a further region for products.
    pub(crate) fn within(&self, region: (usize, usize)) -> Self {
        let mut other = self.clone();
        other.regions.push(region);
        other
    }

    /// Says that the bytes from `at` are needed.
    pub(crate) fn keep(&mut self, at: usize, length: usize) {
        self.live.insert(at, length);
    }

    /// Says that what begins at `at` is not needed any more.
    pub(crate) fn release(&mut self, at: usize) {
        self.live.remove(&at);
    }

    fn free(&self, at: usize, length: usize) -> bool {
        let inside = self.regions.iter().any(|(from, to)| *from <= at && at + length <= *to);
        let clash = self
            .live
            .range(..at + length)
            .next_back()
            .is_some_and(|(start, length)| start + length > at);
        inside && !clash
    }

    fn call(&mut self, precompile: u8, input: usize, length: usize, output: usize) {
        self.call_at(precompile, &address(input), length, output);
    }

    fn call_at(&mut self, precompile: u8, input: &str, length: usize, output: usize) {
        let gas = CAPS.iter().find(|(known, _)| *known == precompile).map_or(0, |(_, gas)| *gas);
        let size = if precompile == 8 { "0x20" } else { "0x40" };
        self.pending.push(format!(
            "staticcall({gas}, {precompile}, {input}, {length:#x}, {}, {size})",
            address(output)
        ));
    }

    fn limit(&mut self, code: &mut Code) {
        if self.pending.len() >= CALLS {
            self.flush(code);
        }
    }

    /// Writes the calls that are waiting.
    pub(crate) fn flush(&mut self, code: &mut Code) {
        if self.pending.is_empty() {
            return;
        }
        let text = self
            .pending
            .drain(..)
            .fold("ok".to_owned(), |inner, call| format!("and({call},\n{:16}{inner})", ""));
        code.line(format!("ok := {text}"));
    }

    fn mul(&mut self, code: &mut Code, input: usize, output: usize) {
        self.call(7, input, 0x60, output);
        self.limit(code);
    }

    /// output = the point at `input` + the one after it.
    pub(crate) fn add(&mut self, code: &mut Code, input: usize, output: usize) {
        self.call(6, input, 0x80, output);
        self.limit(code);
    }

    /// The pairing over the twelve words at `input`, result in the word 0.
    pub(crate) fn pair(&mut self, code: &mut Code, input: usize) {
        self.call(8, input, 0x180, 0);
        self.flush(code);
    }

    /// Writes a word that the next call needs.
    fn scalar(&mut self, code: &mut Code, at: usize, text: &str) {
        self.flush(code);
        code.line(format!("mstore({}, {text})", address(at)));
    }

    /// sum += scalar · (the point at `at`), which is consumed. `copy_to` has room for a point and
    /// a scalar, if there is none behind the point.
    pub(crate) fn scaled(&mut self, code: &mut Code, at: usize, scalar: &str, copy_to: usize) {
        self.release(at);
        let at = if self.free(at + 0x40, 0x20) || at == copy_to {
            at
        } else {
            self.flush(code);
            code.line(format!("mcopy({}, {}, 0x40)", address(copy_to), address(at)));
            copy_to
        };
        self.scalar(code, at + 0x40, scalar);
        self.add_scaled(code, at);
    }

    /// sum += (the point and scalar at `at`).
    pub(crate) fn add_scaled(&mut self, code: &mut Code, at: usize) {
        let (product, sum) = (self.product, self.sum);
        if self.sum_started {
            self.mul(code, at, product);
            self.add(code, product, sum);
        } else {
            self.mul(code, at, sum);
            self.sum_started = true;
        }
    }

    /// output = (the point and scalar at `at`) + the point behind `product`, where the product goes.
    pub(crate) fn sum(&mut self, code: &mut Code, at: usize, product: usize, output: usize) {
        self.sum_at(code, &address(at), product, output);
    }

    /// [`Self::sum`] of a point whose address is a text.
    pub(crate) fn sum_at(&mut self, code: &mut Code, at: &str, product: usize, output: usize) {
        self.call_at(7, at, 0x60, product);
        self.add(code, product, output);
        self.flush(code);
    }

    /// Σ step^j · point over points in descending order of j, without the factor step^(last j).
    /// `power` gives the text of a power of the step. The result is in the chain's accumulator, or
    /// in `target`, or, if there is one point only, where that is.
    pub(crate) fn horner(
        &mut self,
        code: &mut Code,
        chain: &mut Chain,
        points: &[(usize, usize)],
        target: Option<usize>,
        mut power: impl FnMut(&mut Code, usize) -> String,
    ) -> usize {
        let Some(&(mut exponent, mut current)) = points.first() else { return chain.accumulator };
        if points.len() > 1 {
            self.release(current);
        }
        let mut done = 0;
        for (index, &(next_exponent, next)) in points.iter().enumerate().skip(1) {
            if index < done {
                continue;
            }
            let gap = exponent - next_exponent;
            let run = self.alike(&points[index - 1..], target.is_some());
            if run >= ROLLED {
                self.flush(code);
                if current != chain.accumulator {
                    let (to, from) = (address(chain.accumulator), address(current));
                    code.line(format!("mcopy({to}, {from}, 0x40)"));
                }
                if chain.held != Some(gap) {
                    let text = power(code, gap);
                    self.scalar(code, chain.accumulator + 0x40, &text);
                    chain.held = Some(gap);
                }
                let steps = &points[index..index + run];
                self.rolled(code, chain.accumulator, steps);
                current = chain.accumulator;
                exponent = steps.last().map_or(exponent, |(exponent, _)| *exponent);
                done = index + run;
                continue;
            }
            if current != chain.accumulator && self.free(current + 0x40, 0x20) {
                let text = power(code, gap);
                self.scalar(code, current + 0x40, &text);
            } else {
                if current != chain.accumulator {
                    self.flush(code);
                    let (to, from) = (address(chain.accumulator), address(current));
                    code.line(format!("mcopy({to}, {from}, 0x40)"));
                    current = chain.accumulator;
                }
                if chain.held != Some(gap) {
                    let text = power(code, gap);
                    self.scalar(code, current + 0x40, &text);
                    chain.held = Some(gap);
                }
            }
            self.release(next);
            let last = index + 1 == points.len();
            let output = target.filter(|_| last).unwrap_or(chain.accumulator);
            if self.free(next + 0x40, 0x40) {
                self.mul(code, current, next + 0x40);
                self.add(code, next, output);
            } else if next >= 0x40 && self.free(next - 0x40, 0x40) {
                self.mul(code, current, next - 0x40);
                self.add(code, next - 0x40, output);
            } else {
                let spare = self.spare;
                self.flush(code);
                code.line(format!("mcopy({}, {}, 0x40)", address(spare + 0x40), address(next)));
                self.mul(code, current, spare);
                self.add(code, spare, output);
            }
            current = output;
            exponent = next_exponent;
        }
        current
    }

    /// How many of the steps from the first point to the next ones are alike: the same power, and
    /// points that lie at the same distance. The last step may have another target.
    fn alike(&self, points: &[(usize, usize)], keep_last: bool) -> usize {
        if !self.small {
            return 0;
        }
        let points = &points[..points.len() - usize::from(keep_last)];
        let [(before, _), (first, at), (_, next), ..] = points else { return 0 };
        let (gap, distance) = (before.wrapping_sub(*first), next.wrapping_sub(*at));
        let alike = |two: &&[(usize, usize)]| {
            two[0].0.wrapping_sub(two[1].0) == gap && two[1].1.wrapping_sub(two[0].1) == distance
        };
        1 + points[1..].windows(2).take_while(alike).count()
    }

    /// accumulator = accumulator·scalar + point, over points at one distance.
    fn rolled(&mut self, code: &mut Code, accumulator: usize, steps: &[(usize, usize)]) {
        let [(_, first), (_, second), ..] = steps else { return };
        for (_, at) in steps {
            self.release(*at);
        }
        let last = steps.last().map_or(*first, |(_, at)| *at);
        let (step, end) = match second >= first {
            true => (format!("add(at, {:#x})", second - first), last + (second - first)),
            false => (format!("sub(at, {:#x})", first - second), last - (first - second)),
        };
        code.open(&format!(
            "for {{ let at := {} }} xor(at, {}) {{ at := {step} }} ",
            address(*first),
            address(end)
        ));
        let spare = self.spare;
        code.line(format!("mcopy({}, at, 0x40)", address(spare + 0x40)));
        self.mul(code, accumulator, spare);
        self.add(code, spare, accumulator);
        self.flush(code);
        code.close();
    }
}
