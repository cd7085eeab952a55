//! How values look to a person. Pure: values in, text out.

pub mod diff;
pub mod event;
pub mod graph;
pub mod heal;
pub mod health;
pub mod learn;
pub mod merge;
pub mod metrics;
pub mod next;
pub mod plan;
pub mod point;
pub mod remote;
pub mod report;
pub mod risk;
pub mod style;
pub mod switch;
pub mod table;

pub use style::Style;
