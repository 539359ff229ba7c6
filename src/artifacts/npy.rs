//! NumPy's .npy format, versions 1 to 3: a magic string, the length of a header, the header (a
//! Python dictionary with `descr`, `fortran_order` and `shape`), the elements.

use super::input::exact;

/// An array with its elements in row-major order.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f64>,
}

/// Parses a whole file. The error says what is wrong.
pub(super) fn parse(bytes: &[u8]) -> Result<Array, String> {
    let cut = || "not NumPy: the file is cut short".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not NumPy: no magic string")?;
    let (version, rest) = rest.split_at_checked(2).ok_or_else(cut)?;
    let length_bytes = if version[0] == 1 { 2 } else { 4 };
    let (length, rest) = rest.split_at_checked(length_bytes).ok_or_else(cut)?;
    let length = length.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let (header, elements) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "not NumPy: the header is not text")?;

    let field = |name: &str| {
        let after = header.split_once(&format!("'{name}':")).map(|(_, after)| after.trim_start());
        after.ok_or_else(|| format!("not NumPy: the header has no `{name}`"))
    };
    let kind = field("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let kind = kind.map(|(kind, _)| kind).ok_or("a structured array; save plain numbers")?;
    let fortran = field("fortran_order")?.starts_with("True");
    let shape = field("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (shape, _) = shape.ok_or("not NumPy: the shape is not a tuple")?;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| format!("not NumPy: `{size}` in the shape")))
        .collect::<Result<Vec<usize>, _>>()?;
    let count = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));

    let data = decode(kind, elements)?;
    if count != Some(data.len()) {
        return Err(format!("not NumPy: {} elements in the shape {shape:?}", data.len()));
    }
    Ok(Array { data: if fortran { to_row_major(&data, &shape) } else { data }, shape })
}

fn decode(kind: &str, bytes: &[u8]) -> Result<Vec<f64>, String> {
    let (big_endian, kind) = match kind.split_at_checked(1) {
        Some(("<" | "|" | "=", rest)) => (false, rest),
        Some((">", rest)) => (true, rest),
        _ => (false, kind),
    };
    macro_rules! numbers {
        ($element:ty) => {
            numbers!($element, |value: $element| Ok(value as f64))
        };
        ($element:ty, $number:expr) => {{
            let (chunks, rest) = bytes.as_chunks::<{ size_of::<$element>() }>();
            if !rest.is_empty() {
                return Err("not NumPy: the last element is cut short".to_owned());
            }
            let from =
                if big_endian { <$element>::from_be_bytes } else { <$element>::from_le_bytes };
            let numbers = chunks.iter().map(|chunk| $number(from(*chunk))).enumerate();
            let named = |(index, number): (usize, Result<f64, String>)| {
                number.map_err(|message| format!("element {index}: {message}"))
            };
            numbers.map(named).collect::<Result<_, _>>()?
        }};
    }
    Ok(match kind {
        "f8" => numbers!(f64),
        "f4" => numbers!(f32),
        "i8" => numbers!(i64, |value| exact(i128::from(value))),
        "i4" => numbers!(i32),
        "i2" => numbers!(i16),
        "i1" => numbers!(i8),
        "u8" => numbers!(u64, |value| exact(i128::from(value))),
        "u4" => numbers!(u32),
        "u2" => numbers!(u16),
        "u1" | "b1" => numbers!(u8),
        _ => return Err(format!("elements of type {kind}; save float32 or float64")),
    })
}

fn to_row_major(data: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0_usize; shape.len()];
    for _ in 0..data.len() {
        let axes = shape.iter().zip(&index).rev();
        let position = axes.fold(0, |position, (size, index)| position * size + index);
        out.push(data[position]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A version 1 file.
    pub(crate) fn file(header: &str, elements: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(elements);
        bytes
    }

    fn plain(kind: &str, elements: &[u8]) -> Result<Vec<f64>, String> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (2,), }}\n");
        parse(&file(&header, elements)).map(|array| array.data)
    }

    #[test]
    fn element_types_and_byte_orders() {
        assert_eq!(
            plain("<f8", &[1.5_f64, -2.0].map(f64::to_le_bytes).concat()),
            Ok(vec![1.5, -2.0])
        );
        assert_eq!(
            plain(">f4", &[1.5_f32, -2.0].map(f32::to_be_bytes).concat()),
            Ok(vec![1.5, -2.0])
        );
        assert_eq!(plain("<i2", &[7_i16, -2].map(i16::to_le_bytes).concat()), Ok(vec![7.0, -2.0]));
        assert_eq!(plain("|b1", &[1, 0]), Ok(vec![1.0, 0.0]));
        assert!(plain("<c8", &[0; 16]).is_err_and(|message| message.contains("c8")));
        assert!(plain("<f4", &[0; 7]).is_err_and(|message| message.contains("cut short")));
        assert!(plain("<f4", &[0; 4]).is_err_and(|message| message.contains("1 elements")));
    }
}
