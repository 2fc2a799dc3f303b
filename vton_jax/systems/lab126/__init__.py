"""The system of the Lab126 talk on joint dress and pose transfer."""
