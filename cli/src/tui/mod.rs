//! The terminal client.

pub mod composer;
pub mod glyphs;
pub mod text;
pub mod theme;
pub mod vim;
