//! The PostgreSQL v3 wire protocol of the startup phase: bytes to values and back, as server and as client.
//!
//! All functions are pure functions over bytes. Decoders are total: any input gives a value or a [`DecodeError`], and
//! none allocates more than a small multiple of its input. A reader of a socket decodes the length first
//! ([`startup_body_length`], [`Header::decode`], [`password_body_length`]), which refuses a body that is too long before
//! a byte of it is read. Source: PostgreSQL manual, "Message Formats".
//!
//! | file | content |
//! |---|---|
//! | `request.rs` | the first packets of a connection: [`FirstPacket`] |
//! | `proxy_header.rs` | the header of a load balancer before them |
//! | `startup.rs` | [`StartupMessage`] and its parameters |
//! | `version.rs` | [`ProtocolVersion`] |
//! | `cancel.rs` | [`CancelRequest`], [`CancelKey`], and their form as a startup parameter |
//! | `header.rs` | tag and length of a tagged message, and the limits of a login: [`Header`] |
//! | `backend.rs` | the messages of a database during a login: [`BackendMessage`] |
//! | `authentication.rs` | its authentication requests: [`Authentication`] |
//! | `login_state.rs` | their order: [`LoginState`] |
//! | `error_response.rs` | errors and notices: [`ErrorResponse`] |
//! | `error_fields.rs` | [`Severity`], [`SqlState`] |
//! | `password_message.rs` | the answers to authentication requests |
//! | `query.rs` | queries with one value: [`Answer`] |
//! | `error.rs` | [`DecodeError`], [`EncodeError`] |
//! | `reader.rs` | the cursor of all decoders |

mod authentication;
mod backend;
mod cancel;
mod error;
mod error_fields;
mod error_response;
mod header;
mod login_state;
mod password_message;
mod proxy_header;
mod query;
mod reader;
mod request;
mod startup;
#[cfg(test)]
mod tests;
mod version;

pub use authentication::Authentication;
pub use backend::BackendMessage;
pub use cancel::{CancelKey, CancelRequest};
pub use error::{DecodeError, EncodeError};
pub use error_fields::{Severity, SqlState};
pub use error_response::ErrorResponse;
pub use header::{Header, MAX_LOGIN_MESSAGE};
pub use login_state::LoginState;
pub use password_message::{
    MAX_PASSWORD_MESSAGE, SaslInitialResponse, decode_password, encode_password,
    encode_sasl_initial_response, encode_sasl_response, password_body_length,
};
pub use proxy_header::{decode_proxy_header, proxy_header_missing};
pub use query::{Answer, TERMINATE, encode_query};
pub use request::{FirstPacket, encode_ssl_request, startup_body_length};
pub use startup::{MAX_STARTUP_PACKET, StartupMessage};
pub use version::ProtocolVersion;
