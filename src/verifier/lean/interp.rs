//! Runs Yul over an abstract machine: variables, scopes, functions and loops are here, the values
//! and the EVM's operations are the machine's.

use super::yul::{Block, Expr, ExprKind, Function, Statement, StatementKind};
use alloy::primitives::U256;
use std::collections::HashMap;

/// More statements than any verifier executes; ends a loop that does not.
const MAX_STEPS: usize = 20_000_000;
/// Calls of Yul functions may nest this deep.
const MAX_CALLS: usize = 16;

/// Why a run stopped before the end of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `return(offset, length)`: the memory to return, in bytes.
    Return(usize, usize),
    /// `revert(offset, length)`: the memory with the reason, in bytes.
    Revert(usize, usize),
    /// Something that the machine does not do.
    Fault { line: usize, what: String },
}

impl Stop {
    pub(crate) fn fault(what: impl Into<String>) -> Self {
        Stop::Fault { line: 0, what: what.into() }
    }

    fn at(self, line: usize) -> Self {
        match self {
            Stop::Fault { line: 0, what } => Stop::Fault { line, what },
            stop => stop,
        }
    }
}

/// What the EVM's operations do.
pub(crate) trait Machine {
    /// A 256-bit word, or what stands for one.
    type Value: Clone;

    fn literal(&mut self, word: U256) -> Self::Value;

    /// An operation with its arguments in the order of the text (evaluated last to first). `None`
    /// for an operation without a result.
    fn operation(
        &mut self,
        name: &str,
        arguments: &[Self::Value],
    ) -> Result<Option<Self::Value>, Stop>;

    /// Says that what follows stands on this line.
    fn at(&mut self, _line: usize) {}

    /// Says what stack operations and jumps around the operations cost in gas.
    fn charge(&mut self, _gas: u64) {}

    /// Whether a condition holds.
    fn truth(&mut self, value: &Self::Value) -> Result<bool, Stop>;
}

/// A run of one assembly block.
pub(crate) struct Interpreter<'b, 'a, M: Machine> {
    pub(crate) machine: M,
    functions: HashMap<&'a str, &'b Function<'a>>,
    /// Names from outside of the assembly: constants and parameters.
    globals: HashMap<String, U256>,
    scopes: Vec<Vec<(&'a str, M::Value)>>,
    steps: usize,
    calls: usize,
}

impl<'b, 'a, M: Machine> Interpreter<'b, 'a, M> {
    pub(crate) fn new(machine: M, globals: HashMap<String, U256>) -> Self {
        let scopes = vec![Vec::new()];
        Self { machine, functions: HashMap::new(), globals, scopes, steps: 0, calls: 0 }
    }

    /// Runs the statements of the outermost block.
    pub(crate) fn run(&mut self, block: &'b Block<'a>) -> Result<(), Stop> {
        self.declare(block);
        block.statements.iter().try_for_each(|statement| self.statement(statement))
    }

    /// A variable of the outermost block, after the run.
    pub(crate) fn variable(&self, name: &str) -> Option<&M::Value> {
        let scope = self.scopes.first()?;
        scope.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Makes the functions of `block` known.
    pub(crate) fn declare(&mut self, block: &'b Block<'a>) {
        for statement in &block.statements {
            if let StatementKind::Function(function) = &statement.kind {
                self.functions.insert(function.name, function);
            }
        }
    }

    fn block(&mut self, block: &'b Block<'a>) -> Result<(), Stop> {
        self.scopes.push(Vec::new());
        self.declare(block);
        let result = block.statements.iter().try_for_each(|statement| self.statement(statement));
        self.scopes.pop();
        result
    }

    pub(crate) fn statement(&mut self, statement: &'b Statement<'a>) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Stop::fault("the code does not end").at(statement.line));
        }
        self.machine.at(statement.line);
        self.kind(&statement.kind).map_err(|stop| stop.at(statement.line))
    }

    fn kind(&mut self, kind: &'b StatementKind<'a>) -> Result<(), Stop> {
        match kind {
            StatementKind::Function(_) => Ok(()),
            StatementKind::Block(block) => self.block(block),
            StatementKind::Let(names, value) => {
                let values = match value {
                    Some(value) => self.values(value, names.len())?,
                    None => vec![self.machine.literal(U256::ZERO); names.len()],
                };
                // Each is popped at the end of its block.
                self.machine.charge(2 * names.len() as u64);
                let scope = self.scopes.last_mut().ok_or_else(|| Stop::fault("no scope"))?;
                scope.extend(names.iter().copied().zip(values));
                Ok(())
            }
            StatementKind::Assign(names, value) => {
                let values = self.values(value, names.len())?;
                // SWAP and POP.
                self.machine.charge(5 * names.len() as u64);
                for (&name, value) in names.iter().zip(values) {
                    *self
                        .scopes
                        .iter_mut()
                        .rev()
                        .flat_map(|scope| scope.iter_mut().rev())
                        .find(|(known, _)| *known == name)
                        .map(|(_, value)| value)
                        .ok_or_else(|| Stop::fault(format!("unknown variable `{name}`")))? = value;
                }
                Ok(())
            }
            StatementKind::Expr(expr) => self.values(expr, 0).map(drop),
            StatementKind::If(condition, body) => {
                let condition = self.value(condition)?;
                self.machine.charge(17);
                if self.machine.truth(&condition)? { self.block(body) } else { Ok(()) }
            }
            StatementKind::For(parts) => {
                self.scopes.push(Vec::new());
                let result = (|| {
                    parts.init.statements.iter().try_for_each(|s| self.statement(s))?;
                    loop {
                        let condition = self.value(&parts.condition)?;
                        // ISZERO, PUSH, JUMPI, JUMPDEST, and back PUSH, JUMP, JUMPDEST.
                        self.machine.charge(29);
                        if !self.machine.truth(&condition)? {
                            return Ok(());
                        }
                        self.steps += 1;
                        if self.steps > MAX_STEPS {
                            return Err(Stop::fault("the code does not end"));
                        }
                        self.block(&parts.body)?;
                        self.block(&parts.post)?;
                    }
                })();
                self.scopes.pop();
                result
            }
        }
    }

    fn value(&mut self, expr: &'b Expr<'a>) -> Result<M::Value, Stop> {
        self.values(expr, 1)?.pop().ok_or_else(|| Stop::fault("no value").at(expr.line))
    }

    fn values(&mut self, expr: &'b Expr<'a>, count: usize) -> Result<Vec<M::Value>, Stop> {
        let values = match &expr.kind {
            ExprKind::Literal(word) => {
                self.machine.charge(if word.is_zero() { 2 } else { 3 });
                vec![self.machine.literal(*word)]
            }
            ExprKind::Name(name) => {
                self.machine.charge(3);
                vec![self.name(name).map_err(|stop| stop.at(expr.line))?]
            }
            ExprKind::Call(name, arguments) => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments.iter().rev() {
                    values.push(self.value(argument)?);
                }
                values.reverse();
                self.call(name, values).map_err(|stop| stop.at(expr.line))?
            }
        };
        if values.len() == count {
            Ok(values)
        } else {
            Err(Stop::fault(format!("{} values for {count}", values.len())).at(expr.line))
        }
    }

    fn name(&mut self, name: &str) -> Result<M::Value, Stop> {
        let variable =
            self.scopes.iter().rev().flat_map(|scope| scope.iter().rev()).find(|(n, _)| *n == name);
        if let Some((_, value)) = variable {
            return Ok(value.clone());
        }
        let word = match name {
            "true" => U256::ONE,
            "false" => U256::ZERO,
            _ => *self
                .globals
                .get(name)
                .ok_or_else(|| Stop::fault(format!("unknown name `{name}`")))?,
        };
        Ok(self.machine.literal(word))
    }

    fn call(&mut self, name: &str, arguments: Vec<M::Value>) -> Result<Vec<M::Value>, Stop> {
        let Some(function) = self.functions.get(name).copied() else {
            return Ok(self.machine.operation(name, &arguments)?.into_iter().collect());
        };
        if arguments.len() != function.parameters.len() || self.calls == MAX_CALLS {
            return Err(Stop::fault(format!("a call of `{name}` that is not understood")));
        }
        let mut scope: Vec<_> = function.parameters.iter().copied().zip(arguments).collect();
        let zero = self.machine.literal(U256::ZERO);
        scope.extend(function.returns.iter().map(|name| (*name, zero.clone())));
        // A function sees its own variables only.
        let outer = std::mem::replace(&mut self.scopes, vec![scope]);
        self.calls += 1;
        let result = self.block(&function.body);
        self.calls -= 1;
        let scope = std::mem::replace(&mut self.scopes, outer).swap_remove(0);
        result?;
        let returns = scope.into_iter().skip(function.parameters.len());
        Ok(returns.map(|(_, value)| value).collect())
    }
}
