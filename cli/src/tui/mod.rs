//! The terminal client.

pub mod glyphs;
pub mod text;
pub mod theme;
