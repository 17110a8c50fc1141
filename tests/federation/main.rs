//! Homeservers whose people write to each other and share communities, real processes all of them.

mod communities;
mod crowd;
mod delivery;
mod discovery;
mod hostile;
mod identity;
mod keys;
mod leaving;
mod moving;
mod people;
mod restoring;
mod scene;
mod sight;
