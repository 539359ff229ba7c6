//! What to say where a search has found nothing.

use super::{
    Error,
    search::{Found, Limits},
};

/// Why no candidate is left. `refusal` is what ezkl said where it had no answer.
pub(super) fn nothing(found: &Found, limits: &Limits, refusal: Option<String>) -> Error {
    if let (Some(excess), None) = (found.excess, found.least_memory) {
        return Error::Undeployable(excess);
    }
    if let Some(needed) = found.least_memory {
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        return Error::TooLarge {
            needed: megabytes(needed),
            available: megabytes(limits.max_memory),
        };
    }
    let bound = limits.bound;
    match &found.closest {
        Some((closest, _)) if *closest <= bound.value => {
            Error::TooTall { max_logrows: limits.max_logrows }
        }
        Some((closest, args)) if *closest > bound.value => Error::Unmet {
            bound,
            closest: *closest,
            input_scale: args.input_scale.0,
            param_scale: args.param_scale.0,
            multiplier: args.scale_rebase_multiplier,
        },
        _ => Error::NoAnswer { reason: refusal },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artifacts::run_args::RunArgs, field::Scale};

    #[test]
    fn what_is_missing_is_said_with_its_figure() {
        let limits = Limits {
            bound: "0.5%".parse().expect("a bound"),
            range_margin: 256.0,
            lookup_margin: 2.0,
            max_logrows: 17,
            min_scales: None,
            known: None,
            max_memory: 8_000_000_000,
            least_range: 0.0,
            chain: None,
        };
        let args = RunArgs { input_scale: Scale(14), ..RunArgs::default() };
        let mut found = Found { closest: Some((0.75, args)), ..Found::default() };
        let message = nothing(&found, &limits, None).to_string();
        assert!(message.contains("within 0.5%") && message.contains("7.500e-1%"), "{message}");
        assert!(message.contains("input scale 14"), "{message}");
        let message = nothing(&Found::default(), &limits, Some("no such row".into())).to_string();
        assert!(message.contains("all of the inputs: no such row"), "{message}");
        found.closest = found.closest.map(|(_, args)| (0.25, args));
        assert!(nothing(&found, &limits, None).to_string().contains("k ≤ 17"));
        found.least_memory = Some(20_000_000_001);
        let message = nothing(&found, &limits, None).to_string();
        assert!(message.contains("20001 MB") && message.contains("8000 MB"), "{message}");
    }
}
