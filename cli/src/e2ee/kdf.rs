//! The one way to make a key out of another: HKDF-SHA-256 (RFC 5869) under a label.

use zeroize::Zeroizing;

/// `KDF(key, label, context, N)`: HKDF-SHA-256 with no salt and `"rookery/1/" ‖ label ‖ 0 ‖ context` as info.
///
/// The zero byte keeps one label from beginning another.
pub(crate) fn derive<const N: usize>(
    key: &[u8],
    label: &str,
    context: &[u8],
) -> Zeroizing<[u8; N]> {
    let info = [b"rookery/1/", label.as_bytes(), &[0], context].concat();
    expand(None, key, &info)
}

/// HKDF-SHA-256, extract and expand, as RFC 5869 has it. Every `N` of this crate is far below the bound of 8,160 bytes.
pub(crate) fn expand<const N: usize>(
    salt: Option<&[u8]>,
    key: &[u8],
    info: &[u8],
) -> Zeroizing<[u8; N]> {
    let mut output = Zeroizing::new([0; N]);
    let is_expanded = rookery_primitives::expand(salt, key, info, output.as_mut());
    assert!(is_expanded, "the output is shorter than HKDF's bound");
    output
}
