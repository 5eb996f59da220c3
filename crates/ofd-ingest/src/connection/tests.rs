//! Reception over real sockets, by what a register sees and what is in the store afterwards.

mod abuse;
mod contracts;
mod damage;
mod documents;
mod flow;
mod judgement;
mod limits;
mod policy;
