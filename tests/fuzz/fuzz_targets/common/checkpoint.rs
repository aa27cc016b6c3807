//! What must hold for a checkpoint of any bytes.

use kinglet_host::checkpoint::Checkpoint;
use std::collections::HashSet;

/// Opens the bytes and loads every tensor.
pub fn exercise(bytes: Vec<u8>) {
    let file_len = bytes.len();
    let checkpoint = match Checkpoint::from_bytes(bytes) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 1000 && !message.contains(char::is_control));
            return;
        }
    };
    let mut names = HashSet::new();
    for info in checkpoint.tensors() {
        assert!(names.insert(&info.name));
        assert_eq!(checkpoint.info(&info.name), Some(info));
        let tensor = checkpoint.load(&info.name).expect("the table was checked");
        assert_eq!(tensor.shape, info.shape);
        assert_eq!(tensor.data.len(), tensor.shape.iter().product::<usize>());
        assert!(tensor.data.len() * info.dtype.bytes() <= file_len);
    }
}
