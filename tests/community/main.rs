//! Communities, channels and groups between real processes: what members may read, and what nobody else may.

mod expiry;
mod membership;
mod report;
mod scene;
mod shared;
mod talk;
