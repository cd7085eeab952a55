//! What a restore point is: its id, its document, its marks, and how people
//! name one. Pure: text and values in, values out.

pub mod address;
pub mod document;
pub mod event;
pub mod heal;
pub mod health;
pub mod humane;
pub mod id;
pub mod marks;
pub(crate) mod near;
pub mod notice;
pub mod occasion;
pub mod parcel;
pub mod path;
pub mod policy;
pub mod remnant;
pub mod risk;
pub mod schema;
pub mod selector;
pub mod span;
pub mod switch;
pub mod tree;
pub mod within;

pub use document::Point;
pub use health::{Issue, Status, Verdict};
pub use id::PointId;
pub use marks::Marks;
pub use path::BytePath;
pub use policy::Policy;
pub use selector::Selector;
pub use span::Span;
pub use switch::Switch;
