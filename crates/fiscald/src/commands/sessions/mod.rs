//! Operators at work: whole command lines against a real store, and what they read.

mod bench;
mod registration;
mod tax;

use bench::{Bench, On, sessions};
