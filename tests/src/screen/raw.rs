//! What can be told from a program's bytes alone.

/// The parameters of each sequence in `bytes` that sets a colour: SGR 30 to 38, 40 to 48, 58, 90 to 97 and 100 to 107.
#[must_use]
pub fn colours(bytes: &[u8]) -> Vec<String> {
    sequences(bytes, b'm')
        .into_iter()
        .filter(|parameters| {
            let mut numbers = parameters.split([';', ':']).map(str::parse::<u16>);
            numbers.any(|number| matches!(number, Ok(30..=38 | 40..=48 | 58 | 90..=97 | 100..=107)))
        })
        .collect()
}

/// The parameters of each control sequence in `bytes` that ends with `end`.
#[must_use]
pub fn sequences(bytes: &[u8], end: u8) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\x1b[") {
        rest = rest.get(at.saturating_add(2)..).unwrap_or_default();
        // Parameters and intermediates stand below `@`, the end at it or above (ECMA-48 §5.4).
        let length = rest.iter().position(|byte| *byte >= 0x40).unwrap_or(rest.len());
        let (parameters, after) = rest.split_at(length);
        if after.first() == Some(&end) {
            found.push(String::from_utf8_lossy(parameters).into_owned());
        }
        rest = after;
    }
    found
}

/// The characters in `bytes` that are not ASCII.
#[must_use]
pub fn beyond_ascii(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|character| !character.is_ascii()).collect()
}
