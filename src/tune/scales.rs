//! Scales that are accurate enough.

use super::{
    Error,
    candidate::Errors,
    lab::Lab,
    sample::scaled,
    search::{Found, Point, SCALES, Search},
};
use crate::{
    accuracy::{Observation, forward::Forward},
    artifacts::run_args::RunArgs,
    field::Scale,
};

impl Search<'_> {
    pub(super) fn allowed(&self, input: i32, param: i32) -> bool {
        self.limits
            .min_scales
            .is_none_or(|(min_input, min_param)| input >= min_input && param >= min_param)
    }

    /// Bisects the least common scale that is accurate enough on a few inputs and then steps up
    /// until it is on all. The error is not quite monotone, hence the second half.
    pub(super) async fn least_scale(
        &self,
        multiplier: u32,
        found: &mut Found,
    ) -> Result<Option<i32>, Error> {
        let floor = self.limits.min_scales.map_or(*SCALES.start(), |(i, p)| i.max(p));
        let (mut low, mut high) = (floor - 1, SCALES.end() + 1);
        let answered = found.answered;
        found.answered = false;
        while high - low > 1 && !self.lab.is_over() {
            let middle = (low + high) / 2;
            match self.point(middle, middle, multiplier, false, found).await? {
                Some(_) => high = middle,
                None => low = middle,
            }
        }
        if !found.answered && !self.lab.is_over() {
            // Values may only grow too large for the scales above, and those went up.
            high = floor;
            self.point(floor, floor, multiplier, false, found).await?;
        }
        let answers = found.answered;
        found.answered |= answered;
        if !answers {
            return Ok(None);
        }
        // The largest scale is measured in any case: the closest that the error comes to a bound.
        for scale in high.min(*SCALES.end())..=*SCALES.end() {
            if self.lab.is_over() {
                return Ok(None);
            }
            if self.point(scale, scale, multiplier, true, found).await?.is_some() {
                return Ok(Some(scale));
            }
        }
        Ok(None)
    }

    /// Lowers the input's or the parameters' scale alone as far as the error allows.
    pub(super) async fn lowered(
        &self,
        scale: i32,
        multiplier: u32,
        input: bool,
        found: &mut Found,
    ) -> Result<Option<Point>, Error> {
        let pair = |lower: i32| if input { (lower, scale) } else { (scale, lower) };
        let mut lower = scale;
        while lower > *SCALES.start() && !self.lab.is_over() {
            let (i, p) = pair(lower - 1);
            if !self.allowed(i, p) || self.point(i, p, multiplier, false, found).await?.is_none() {
                break;
            }
            lower -= 1;
        }
        while lower < scale && !self.lab.is_over() {
            let (i, p) = pair(lower);
            if let Some(point) = self.point(i, p, multiplier, true, found).await? {
                return Ok(Some(point));
            }
            lower += 1;
        }
        Ok(None)
    }

    /// Measures a set of scales with unlimited tables, on all inputs or on a few; `None` when the
    /// error is above the bound.
    pub(super) async fn point(
        &self,
        input: i32,
        param: i32,
        multiplier: u32,
        all: bool,
        found: &mut Found,
    ) -> Result<Option<Point>, Error> {
        let args = RunArgs {
            input_scale: Scale(input),
            param_scale: Scale(param),
            scale_rebase_multiplier: multiplier,
            ..Lab::wide(self.base)
        };
        let count = if all { self.sample.inputs.len() } else { self.sample.few };
        let inputs = &self.sample.inputs[..count];
        let Some((settings, answers)) = self.lab.answers(&args, inputs).await? else {
            return Ok(None);
        };
        found.answered = true;
        let outputs: Vec<_> = answers.iter().map(|answer| answer.outputs.clone()).collect();
        let steps: Vec<_> =
            settings.model_output_scales.iter().map(|scale| 1.0 / scale.multiplier()).collect();
        let Some(error) = Errors::of(&self.sample.float[..count], &outputs, &steps) else {
            return Ok(None);
        };
        let measured = error.measure(&self.limits.bound);
        tracing::debug!(
            "scales {input}/{param}×{multiplier}: {measured:.3e} on {count} inputs, allowed is {:.3e}",
            self.limits.bound.value
        );
        if all && found.closest.as_ref().is_none_or(|(closest, _)| measured < *closest) {
            found.closest = Some((measured, args.clone()));
        }
        if measured > self.limits.bound.value {
            return Ok(None);
        }
        let looked_up = |answers: &[Forward]| span(answers.iter().map(|answer| answer.lookups));
        let mut lookups = looked_up(&answers);
        if all {
            let given = looked_up(&answers[..self.sample.given().min(answers.len())]);
            let beyond = self.lookups_beyond(&args, given).await?;
            lookups = (lookups.0.min(beyond.0), lookups.1.max(beyond.1));
        }
        Ok(Some(Point { args, error, lookups, settings }))
    }

    /// Widens what the given inputs looked up by the margin, by the corners, and by inputs twice as large.
    async fn lookups_beyond(
        &self,
        args: &RunArgs,
        (low, high): (i128, i128),
    ) -> Result<(i128, i128), Error> {
        let margin = |value: i128| (value as f64 * self.limits.lookup_margin) as i128;
        let mut wide = (margin(low).min(low).min(0), margin(high).max(high).max(0));
        let given = self.sample.few_given().iter();
        let doubled = given
            .map(|input| scaled(input, self.inputs, 2.0))
            .chain(self.sample.corners.iter().cloned());
        let doubled: Vec<Observation> = doubled.collect();
        let settings = self.lab.settings(args).await?;
        if let Some(settings) = settings.filter(|settings| !settings.required_lookups.is_empty()) {
            let answers = self.lab.forward(&settings, &doubled).await?.unwrap_or_default();
            let (low, high) = span(answers.iter().flatten().map(|answer| answer.lookups));
            wide = (wide.0.min(low), wide.1.max(high));
        }
        Ok(wide)
    }
}

fn span(values: impl Iterator<Item = (i128, i128)>) -> (i128, i128) {
    values.fold((0, 0), |(low, high), (min, max)| (low.min(min), high.max(max)))
}
