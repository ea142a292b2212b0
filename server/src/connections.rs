//! What a session keeps for each of its connections.

use crate::session::ConnectionId;

/// A value for each of some connections, in the order of their numbers. There are few, and whatever
/// is printed goes to all of them: a vector takes less memory for one than a tree, and fewer cache
/// lines to go through.
#[derive(Debug)]
pub(crate) struct Connections<T>(Vec<(ConnectionId, T)>);

impl<T> Connections<T> {
    /// For no connection.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, connection: ConnectionId) -> Option<&T> {
        let place = self.place(connection).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut T> {
        let place = self.place(connection).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Keeps `value`, in the place of what was there.
    pub(crate) fn insert(&mut self, connection: ConnectionId, value: T) {
        match self.place(connection) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (connection, value)),
        }
    }

    pub(crate) fn remove(&mut self, connection: ConnectionId) -> Option<T> {
        let place = self.place(connection).ok()?;
        Some(self.0.remove(place).1)
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.0.iter().map(|(connection, _)| *connection)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &T)> {
        self.0
            .iter()
            .map(|(connection, value)| (*connection, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut T)> {
        self.0
            .iter_mut()
            .map(|(connection, value)| (*connection, value))
    }

    fn place(&self, connection: ConnectionId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&connection, |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_value_and_they_are_in_order() {
        let mut numbers = Connections::new();
        for number in [5, 1, 3, 5] {
            numbers.insert(ConnectionId(number), number * 10);
        }
        *numbers.get_mut(ConnectionId(3)).unwrap() += 1;
        assert_eq!(numbers.get(ConnectionId(2)), None);
        assert_eq!(numbers.remove(ConnectionId(4)), None);
        assert_eq!(numbers.values().collect::<Vec<_>>(), [&10, &31, &50]);
        assert_eq!(numbers.remove(ConnectionId(1)), Some(10));
        let left: Vec<_> = numbers.connections().collect();
        assert_eq!(left, [ConnectionId(3), ConnectionId(5)]);
        assert_eq!((numbers.len(), numbers.is_empty()), (2, false));
    }
}
