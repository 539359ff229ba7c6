//! How large a circuit's public numbers get, from which the widths of packed instances follow.

use super::{Kind, Result};
use crate::{
    field::Scale,
    files,
    model::{packing::Width, schema::TensorKind},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

const KIND: Kind = Kind {
    what: "a record of how large public numbers get",
    remedy: "make it again with `zkvouch build`",
    limit: 1 << 20,
};

/// The largest numbers that were seen in each public tensor of a circuit; in JSON decimal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extents {
    /// The largest absolute integer of each input tensor, at the tensor's scale.
    #[serde(with = "decimal")]
    inputs: Vec<u128>,
    /// The same of each output tensor.
    #[serde(with = "decimal")]
    outputs: Vec<u128>,
}

mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(all: &[u128], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(u128::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u128>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

/// Numbers may get so many times larger than what was seen before they no longer fit.
const ROOM: u128 = 4;

impl Extents {
    /// Takes account of an observation's inputs, a scale each.
    pub fn saw_inputs(&mut self, scales: &[Scale], inputs: &[Vec<f64>]) {
        for (tensor, values) in inputs.iter().enumerate() {
            let scale = scales.get(tensor).copied().unwrap_or_default();
            self.saw(TensorKind::Input, tensor, values.iter().map(|value| size(*value, scale)));
        }
    }

    /// Takes account of a circuit's answer, a scale for each output.
    pub fn saw_outputs(&mut self, scales: &[Scale], outputs: &[Vec<f64>]) {
        for (tensor, values) in outputs.iter().enumerate() {
            let scale = scales.get(tensor).copied().unwrap_or_default();
            self.saw(TensorKind::Output, tensor, values.iter().map(|value| size(*value, scale)));
        }
    }

    pub(super) fn saw(
        &mut self,
        kind: TensorKind,
        tensor: usize,
        sizes: impl Iterator<Item = u128>,
    ) {
        let all = match kind {
            TensorKind::Input => &mut self.inputs,
            TensorKind::Output => &mut self.outputs,
            _ => return,
        };
        let Some(largest) = sizes.max() else { return };
        if all.len() <= tensor {
            all.resize(tensor + 1, 0);
        }
        all[tensor] = all[tensor].max(largest);
    }

    /// The smallest width that holds four times what was seen; a whole word for a hash, and for a tensor that was
    /// never seen.
    pub(super) fn width(&self, kind: TensorKind, tensor: usize) -> Width {
        let largest = match kind {
            TensorKind::Input => self.inputs.get(tensor),
            TensorKind::Output => self.outputs.get(tensor),
            _ => None,
        };
        largest.map_or(Width::WORD, |largest| Width::of((*largest).max(1).saturating_mul(ROOM)))
    }

    /// Reads what [`write`](Self::write) wrote.
    pub fn read(path: &Path) -> Result<Self> {
        KIND.parse(&KIND.read(path)?, path)
    }

    /// Writes them as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        Ok(files::write_atomic(path, text.as_bytes())?)
    }
}

/// The absolute integer that stands for a number, rounded up.
fn size(value: f64, scale: Scale) -> u128 {
    // A cast saturates, and what is no number becomes 0, which no circuit has for an answer.
    (value.abs() * f64::from(scale.0).exp2()).ceil() as u128
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        artifacts::settings::tests::{parse, sample},
        field::Felt,
    };

    #[test]
    fn widths_hold_four_times_what_was_seen() {
        // Three inputs at scale 6, four outputs at scale 7.
        let settings = parse(&sample()).expect("valid");
        let mut extents = Extents::default();
        extents.saw_inputs(&settings.model_input_scales, &[vec![0.1, -0.49, 0.0]]);
        extents.saw_outputs(&settings.model_output_scales, &[vec![0.0; 4]]);
        let widths = |extents: &Extents| {
            let layout = settings.instance_layout().with_extents(extents);
            layout.groups.iter().map(|group| group.width.bytes()).collect::<Vec<_>>()
        };
        // 0.49 · 2^6 = 31.36, and 4 · 32 = 128 is more than a byte's 127.
        assert_eq!(widths(&extents), [2, 1]);
        extents.saw_outputs(&settings.model_output_scales, &[vec![-64.0, 1.0, 0.0, 0.0]]);
        extents.saw_inputs(&settings.model_input_scales, &[vec![0.0; 3]]);
        assert_eq!(widths(&extents), [2, 4], "never less than before");
        assert_eq!(widths(&Extents::default()), [32, 32], "nothing was seen");
        let felts = [99, -34, 78, 37, 84, 0, -1].map(Felt::from_i128);
        let layout = settings.instance_layout();
        assert_eq!(widths(&layout.extents(&[&felts])), [2, 2]);
        assert_eq!(widths(&layout.extents(&[])), [32, 32]);
        let hash = Felt::new(crate::field::SCALAR_MODULUS >> 1).expect("below");
        let no_number = [&[hash], &felts[1..]].concat();
        assert_eq!(widths(&layout.extents(&[&no_number])), [32, 2]);
    }

    #[test]
    fn what_is_written_is_read() {
        let extents = Extents { inputs: vec![0, u128::MAX], outputs: vec![7] };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("widths.json");
        extents.write(&path).expect("written");
        assert_eq!(Extents::read(&path).expect("read"), extents);
        std::fs::write(&path, r#"{"inputs": ["-1"], "outputs": []}"#).expect("written");
        let error = Extents::read(&path).expect_err("no size").to_string();
        assert!(error.contains("widths.json"), "{error}");
    }
}
