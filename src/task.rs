//! Blocking work beside async tasks.

use std::panic;

/// Runs `work` on a thread where it may block. A panic in it goes on in the caller.
///
/// Where the caller is dropped, the work goes on to its end, unless it has not begun and the runtime shuts down.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await.map_err(|error| error.try_into_panic()) {
        Ok(result) => result,
        Err(Ok(payload)) => panic::resume_unwind(payload),
        // Not begun, since the runtime is shutting down: it drops this task, too.
        Err(Err(_)) => std::future::pending().await,
    }
}

/// As [`blocking`], with a stack for deep recursion. The memory is taken only as far as it is used.
pub(crate) async fn blocking_deep<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    const STACK: usize = 256 << 20;
    let run = move || {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK);
            match thread.spawn_scoped(scope, work) {
                Ok(thread) => thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic)),
                Err(error) => panic!("no thread can be started: {error}"),
            }
        })
    };
    blocking(run).await
}

#[cfg(test)]
mod tests {
    use super::{blocking, blocking_deep};

    #[tokio::test]
    async fn deep_recursion_has_room() {
        fn depth(left: usize) -> usize {
            let here = std::hint::black_box([left; 64]);
            if left == 0 { 0 } else { 1 + depth(std::hint::black_box(here[7]) - 1) }
        }
        assert_eq!(blocking_deep(|| depth(100_000)).await, 100_000);
    }

    #[tokio::test]
    async fn the_result_comes_back_and_so_does_a_panic() {
        assert_eq!(blocking(|| 7).await, 7);
        let panicked =
            tokio::spawn(blocking(|| -> u8 { panic!("no") })).await.expect_err("a panic");
        assert_eq!(panicked.into_panic().downcast_ref(), Some(&"no"));
    }

    #[test]
    fn work_that_a_runtime_no_longer_begins_ends_without_a_panic() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let handle = runtime.handle().clone();
        drop(runtime);
        let _entered = handle.enter();
        let mut task = Box::pin(blocking(|| 7));
        let waker = std::task::Waker::noop();
        let polled = task.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert!(polled.is_pending());
    }
}
