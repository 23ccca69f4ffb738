def embedding(indices, weight):
    return weight[indices]
