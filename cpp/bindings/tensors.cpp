// What every call of an op does with Tensors (python/fastnn/value.py), in C for its time: it opens those that it is
// given and makes those that it returns. The slots of a Tensor are read and set where they lie.
#include <structmember.h>

#include "arrays.h"

namespace fastnn {
namespace bound {
namespace {

// Tensor, and how many bytes into one its slots lie.
struct Slots {
  PyTypeObject* tensor = nullptr;
  Py_ssize_t array, exposed, grad, home, index, lent, node, requires_grad;
};
Slots slots;

PyObject*& slot(PyObject* tensor, Py_ssize_t place) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(tensor) + place);
}

PyObject* read(PyObject* tensor, Py_ssize_t place) {
  PyObject* value = slot(tensor, place);
  if (!value) throw py::attribute_error("a Tensor whose __init__ was never called");
  return value;
}

Py_ssize_t place_of(const py::handle& kind, const char* name) {
  const py::object member = kind.attr("__dict__")[name];
  if (Py_TYPE(member.ptr()) != &PyMemberDescr_Type) throw py::type_error(std::string("no slot: ") + name);
  return reinterpret_cast<PyMemberDescrObject*>(member.ptr())->d_member->offset;
}

// To be called once, before the others.
void know_tensor(const py::type& kind) {
  slots.array = place_of(kind, "_array"), slots.exposed = place_of(kind, "_exposed");
  slots.grad = place_of(kind, "_grad"), slots.home = place_of(kind, "_home");
  slots.index = place_of(kind, "_index"), slots.lent = place_of(kind, "_lent");
  slots.node = place_of(kind, "_node"), slots.requires_grad = place_of(kind, "_requires_grad");
  slots.tensor = reinterpret_cast<PyTypeObject*>(kind.inc_ref().ptr());
}

bool is_tensor(PyObject* value) { return PyObject_TypeCheck(value, slots.tensor); }

// Values that show nobody's memory.
bool has_no_memory(PyObject* value) {
  const PyTypeObject* kind = Py_TYPE(value);
  return value == Py_None || kind == &PyFloat_Type || kind == &PyLong_Type || kind == &PyUnicode_Type ||
         kind == &PyTuple_Type || kind == &PyList_Type || kind == &PyBool_Type;
}

// Where the gradient of a Tensor goes: to a leaf itself, else to (node, index).
py::object edge_to(PyObject* tensor) {
  PyObject* node = read(tensor, slots.node);
  if (node == Py_None) return py::reinterpret_borrow<py::object>(tensor);
  return py::reinterpret_steal<py::object>(PyTuple_Pack(2, node, read(tensor, slots.index)));
}

void append(py::object& list, py::ssize_t i) {
  if (list.is_none()) list = py::list();
  py::reinterpret_borrow<py::list>(list).append(i);
}

// None where there is no Tensor in `given`; else (values, need, edges, reached, others), lists with an entry per value:
// Tensors replaced by their arrays, whether a gradient is wanted, and where it goes; and numbers of values: those whose
// memory the user can reach, and those that are neither arrays nor plain. None for a list of nothing.
py::object opened(const py::handle& given, bool taped) {
  if (!PyTuple_Check(given.ptr()) && !PyList_Check(given.ptr())) throw py::type_error("opened: expected a tuple");
  const py::ssize_t count = PySequence_Fast_GET_SIZE(given.ptr());
  PyObject* const* items = PySequence_Fast_ITEMS(given.ptr());
  if (std::none_of(items, items + count, is_tensor)) return py::none();
  py::list values(count), need(count);
  py::object edges = py::none(), reached = py::none(), others = py::none();
  for (py::ssize_t i = 0; i < count; ++i) {
    PyObject* value = items[i];
    const bool tensor = is_tensor(value), wanted = tensor && taped && read(value, slots.requires_grad) == Py_True;
    PyList_SET_ITEM(values.ptr(), i, Py_NewRef(tensor ? read(value, slots.array) : value));
    PyList_SET_ITEM(need.ptr(), i, Py_NewRef(wanted ? Py_True : Py_False));
    if (wanted) {
      if (edges.is_none()) {
        edges = py::list(count);
        for (py::ssize_t j = 0; j < count; ++j) PyList_SET_ITEM(edges.ptr(), j, Py_NewRef(Py_None));
      }
      PyList_SetItem(edges.ptr(), i, edge_to(value).release().ptr());
    }
    if (!tensor && has_no_memory(value)) continue;
    if (!tensor && !py::isinstance<py::array>(value)) {
      append(others, i);
    } else if (!wanted || read(value, slots.exposed) == Py_True) {
      append(reached, i);
    }
  }
  return py::reinterpret_steal<py::object>(
      PyTuple_Pack(5, values.ptr(), need.ptr(), edges.ptr(), reached.ptr(), others.ptr()));
}

// A Tensor of the array, the output of that number of the node; of no gradient where that is None. `exposed`: whether
// somebody else may write to the array.
py::object computed(const py::handle& array, const py::handle& node, const py::handle& index, bool exposed) {
  PyObject* tensor = slots.tensor->tp_alloc(slots.tensor, 0);
  if (!tensor) throw py::error_already_set();
  slot(tensor, slots.array) = array.inc_ref().ptr();
  slot(tensor, slots.exposed) = Py_NewRef(exposed ? Py_True : Py_False);
  slot(tensor, slots.grad) = Py_NewRef(Py_None);
  slot(tensor, slots.home) = Py_NewRef(Py_None);
  slot(tensor, slots.index) = index.inc_ref().ptr();
  slot(tensor, slots.lent) = Py_NewRef(Py_False);
  slot(tensor, slots.node) = node.inc_ref().ptr();
  slot(tensor, slots.requires_grad) = Py_NewRef(node.is_none() ? Py_False : Py_True);
  return py::reinterpret_steal<py::object>(tensor);
}

}  // namespace
}  // namespace bound

void bind_tensors(py::module_& m) {
  m.def("know_tensor", &bound::know_tensor, "kind"_a);
  m.def("opened", &bound::opened, "given"_a, "taped"_a);
  m.def("computed", &bound::computed, "array"_a, "node"_a, "index"_a, "exposed"_a);
}

}  // namespace fastnn
