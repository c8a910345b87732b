using static TorchSharp.torch;

namespace Dalle.Model.Safetensors;

/// <summary>Memory that an array of a checkpoint is read into, whole or some of its rows.</summary>
/// <param name="Name">The array's key in the checkpoint.</param>
/// <param name="Tensor">A contiguous tensor on any device, of the array's element type: as many rows as are wanted, of the array's other dimensions. It keeps its memory.</param>
/// <param name="FirstRow">The row of the array that the tensor begins with, counted from 0; null if the tensor is the whole array, which may then be without dimensions.</param>
/// <param name="TotalRows">Rows that the whole array must have; null if any number will do that has those that are wanted.</param>
public sealed record CheckpointTarget(string Name, Tensor Tensor, long? FirstRow = null, long? TotalRows = null)
{
    /// <summary>Lets a target through that some array could be read into.</summary>
    /// <exception cref="ArgumentException">The rows are negative, or of a tensor without dimensions, or the memory is not contiguous.</exception>
    internal void Validate()
    {
        if (FirstRow is { } first && (first < 0 || Tensor.dim() == 0))
        {
            throw new ArgumentException($"Expected rows of '{Name}' from 0 on and a tensor with dimensions for them, got row {first} and {Tensor.dim()} dimensions.");
        }

        if (!Tensor.is_contiguous())
        {
            throw new ArgumentException($"'{Name}' can only be read into contiguous memory.");
        }
    }
}
