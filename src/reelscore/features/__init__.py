"""Operations on feature sequences: sampling, pooling and scaling."""
