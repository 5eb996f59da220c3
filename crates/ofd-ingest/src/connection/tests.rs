//! Reception over real sockets, by what a register sees and what is in the store afterwards.

mod damage;
mod documents;
mod flow;
mod limits;
mod policy;
