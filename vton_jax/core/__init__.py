"""What everything stands on: types, errors, geometry, joints, labels and framing. Imports nothing of ours."""
