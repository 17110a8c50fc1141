//! The whole terminal client in a pseudo-terminal, against a screen that is read, and real servers and people around it.
//!
//! The model and the view in every case are held by their own tests; here is what only the whole program can show: that the first frame
//! needs nobody, that keys are taken while the network stands still, that the terminal is given back whatever ends the program, and that what is
//! written is not lost. `pain_NN` are the twenty-five complaints about other clients that this one answers, here and beside the model; the
//! last is about scripts alone.

mod endings;
mod network;
mod people;
mod places;
mod scene;
mod secrets;
mod unread;
mod writing;
