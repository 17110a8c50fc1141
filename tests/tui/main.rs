//! The whole terminal client in a pseudo-terminal, against a screen that is read, and real servers and people around it.
//!
//! What the model and the view do in every case is held by their own tests; here is what only the whole program can show: that the first frame
//! needs nobody, that keys are taken while the network stands still, that the terminal is given back whatever ends the program, and that what is
//! written is not lost. The subjects `pain_NN` are the complaints about other clients that TUI.md §2 numbers; those that are about scripts
//! alone (25) or that nothing on a screen shows have theirs elsewhere. A subject that is ignored names the fault that it waits for.

mod network;
mod people;
mod places;
mod scene;
mod writing;
