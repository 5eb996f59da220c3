//! Registration: the way of a register from its contract to the card of the tax service, and what moves it.
//!
//! [`machine`] is pure: a register, an event, the periods and the moment go in; the register as it is then and what is to be
//! done come out. [`table`] is its table of states, [`dimensions`] are four things that are never mixed into the state,
//! `label` is what the client sees of both. Everything that reads and writes is thin: load, ask the machine, commit, and
//! begin anew when somebody else was faster.
//!
//! What moves a register: [`follower`] (reports in the journal), [`feed`] (events of the tax service), [`timers`], and
//! people ([`ops`]). [`view`] shows one register with everything that is known.
//!
//! Left out on purpose: sockets, SQL, the clock (`now` is an argument), reception (it never waits for any of this).

pub mod application;
#[cfg(test)]
mod bench;
pub mod card;
mod commit;
pub mod dimensions;
pub mod feed;
pub mod follower;
mod label;
pub mod machine;
mod manual;
mod numbers;
pub mod ops;
pub mod report;
mod settings;
pub mod table;
pub mod timers;
pub mod view;

pub use dimensions::{ContractStanding, Dimensions, FnCondition, FnsCondition, Liveness};
pub use label::label;
pub use manual::ManualValues;
pub use settings::RegistrationConfig;
pub use view::RegisterView;

#[cfg(test)]
mod disputes;
#[cfg(test)]
mod tests;
