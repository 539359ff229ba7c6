//! What a transaction does.

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, Bytes, U256},
    rpc::types::TransactionRequest,
};

/// What a transaction does.
#[derive(Clone, Debug)]
pub struct Call {
    /// The receiver; none to create a contract.
    pub to: Option<Address>,
    /// The calldata or init code.
    pub input: Bytes,
    /// What is sent along, in wei.
    pub value: U256,
    /// What it is for, in a few words, for messages.
    pub label: String,
    /// What the broadcast file says about it.
    pub about: About,
}

/// What the broadcast file says about a transaction beyond its bytes.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The name of what is made or called; none if it isn't known.
    pub contract_name: Option<String>,
    /// The contract that is made or called.
    pub contract_address: Option<Address>,
    /// The signature of the function that is called.
    pub function: Option<String>,
    /// The arguments as text.
    pub arguments: Option<Vec<String>>,
    /// Whether it deploys through the CREATE2 proxy.
    pub create2: bool,
}

impl Call {
    /// A call of a contract.
    pub fn new(to: Address, input: Bytes, label: impl Into<String>) -> Self {
        let about = About { contract_address: Some(to), ..Default::default() };
        Self { to: Some(to), input, value: U256::ZERO, label: label.into(), about }
    }

    /// The creation of a contract.
    pub fn create(init_code: Bytes, label: impl Into<String>) -> Self {
        let (value, about) = (U256::ZERO, About::default());
        Self { to: None, input: init_code, value, label: label.into(), about }
    }

    /// The same with more for the broadcast file.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    pub(crate) fn request(&self, from: Address) -> TransactionRequest {
        let request = TransactionRequest::default()
            .with_from(from)
            .with_value(self.value)
            .with_input(self.input.clone());
        match self.to {
            Some(to) => request.with_to(to),
            None => request.into_create(),
        }
    }
}
