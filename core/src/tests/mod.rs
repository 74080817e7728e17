//! The engine as a host drives it: requests in, turns out, on a database in memory.

mod amend;
mod asleep;
mod attachments;
mod authorise;
mod dispatch;
mod driver;
mod edits;
mod egress;
mod forks;
mod holes;
mod laws;
mod lists;
mod long_forks;
mod loops;
mod mended;
mod properties;
mod restarts;
mod sandbox;
mod schemas;
mod shapes;
mod simulator;
mod streams;
mod told;
mod wakes;
mod world;
